import { reviveTag } from './json-tags.js';
import { isForbiddenKey } from './payload-limits.js';
import { undecodable } from './undecodable.js';

/** Python refuses to read longer integers too. */
export const MAX_INTEGER_DIGITS = 4_300;

/**
 * Reads JSON text that `JSON.parse` would lose something of: integers beyond 2^53, Python's NaN and Infinity, tagged
 * values, forbidden keys. Accepts exactly what `JSON.parse` accepts plus those literals. The text's depth must have
 * been checked before.
 */
export function readJson(text: string): unknown {
  return new JsonReader(text).read();
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const LITERALS: readonly (readonly [text: string, value: unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
];

class JsonReader {
  private at = 0;

  constructor(private readonly text: string) {}

  read(): unknown {
    const value = this.value();
    this.skipSpace();
    if (this.at < this.text.length) this.fail();
    return value;
  }

  private value(): unknown {
    this.skipSpace();
    switch (this.text.charCodeAt(this.at)) {
      case 0x7b:
        return this.object();
      case 0x5b:
        return this.array();
      case 0x22:
        return this.string();
      default:
        return this.numberOrLiteral();
    }
  }

  private object(): unknown {
    const result: Record<string, unknown> = {};
    this.at += 1;
    if (this.takes('}')) return result;
    do {
      this.skipSpace();
      if (this.text[this.at] !== '"') this.fail();
      const key = this.string();
      if (isForbiddenKey(key)) throw undecodable(`The key "${key}" is not allowed in a message.`, { key });
      if (!this.takes(':')) this.fail();
      result[key] = this.value();
    } while (this.takes(','));
    if (!this.takes('}')) this.fail();
    return '__type__' in result ? revived(result) : result;
  }

  private array(): unknown[] {
    const result: unknown[] = [];
    this.at += 1;
    if (this.takes(']')) return result;
    do result.push(this.value());
    while (this.takes(','));
    if (!this.takes(']')) this.fail();
    return result;
  }

  private string(): string {
    const start = this.at;
    let escaped = false;
    for (let at = start + 1; at < this.text.length; at += 1) {
      const code = this.text.charCodeAt(at);
      if (code === 0x22) {
        this.at = at + 1;
        return escaped ? this.unescape(start) : this.text.slice(start + 1, at);
      }
      if (code < 0x20) break;
      if (code === 0x5c) {
        escaped = true;
        at += 1;
      }
    }
    return this.fail();
  }

  private unescape(start: number): string {
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string;
    } catch {
      this.at = start;
      return this.fail();
    }
  }

  private numberOrLiteral(): unknown {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) return this.literal();
    this.at = NUMBER.lastIndex;
    const digits = match[0];
    const value = Number(digits);
    if (Number.isSafeInteger(value) || match[1] !== undefined || match[2] !== undefined) return value;
    if (digits.length > MAX_INTEGER_DIGITS) throw undecodable(`An integer has more than ${MAX_INTEGER_DIGITS} digits.`);
    return BigInt(digits);
  }

  private literal(): unknown {
    for (const [text, value] of LITERALS) {
      if (this.text.startsWith(text, this.at)) {
        this.at += text.length;
        return value;
      }
    }
    return this.fail();
  }

  private takes(character: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }

  private fail(): never {
    throw undecodable(`The body is not valid JSON at position ${this.at}.`, { position: this.at });
  }
}

function revived(object: Record<string, unknown>): unknown {
  if (!('__value__' in object) || Object.keys(object).length !== 2) return object;
  const value = reviveTag(object['__type__'], object['__value__']);
  if (value === undefined)
    throw undecodable('A value is tagged with a type that is not known, or does not fit its type.');
  return value;
}
