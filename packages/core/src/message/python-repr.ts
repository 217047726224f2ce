import { isoInstant } from './iso-instant.js';

export interface PythonReprOptions {
  /** Characters. Default 1024, as Celery's `argsrepr` and `kwargsrepr`. */
  readonly maxLength?: number;
  /** Show the outermost array as a tuple, as Celery shows positional arguments. Default false. */
  readonly tuple?: boolean;
}

const DEFAULT_MAX_LENGTH = 1_024;
/** Containers inside one another that are shown, as in Celery's own; deeper ones become `[...]` and `{...}`. */
const MAX_LEVELS = 3;
/** Room for what is written after the limit is reached: the mark and the closing brackets. */
const CLOSING = 12;

/**
 * A value as Python would show it, for monitors and logs: `(2, 'x', None)`, `{'k': True}`. Control characters are
 * escaped. Stops at the limit, and never throws.
 */
export function pythonRepr(value: unknown, options: PythonReprOptions = {}): string {
  const maxLength = options.maxLength ?? DEFAULT_MAX_LENGTH;
  const writer = new ReprWriter(Math.max(0, maxLength - CLOSING));
  if (options.tuple === true && Array.isArray(value)) writer.list(value, '(', value.length === 1 ? ',)' : ')');
  else writer.value(value);
  return writer.text.length > maxLength ? writer.text.slice(0, maxLength) : writer.text;
}

class ReprWriter {
  text = '';
  private level = 0;
  private full = false;

  constructor(private readonly budget: number) {}

  value(value: unknown): void {
    try {
      if (typeof value === 'string') this.string(value);
      else if (typeof value === 'object' && value !== null) this.object(value);
      else this.add(primitive(value));
    } catch {
      this.add('<unrepresentable>');
    }
  }

  list(values: readonly unknown[], open: string, close: string): void {
    if (!this.enter(open, close)) return;
    try {
      // By index: this is written for every task whose result is kept.
      for (let index = 0; index < values.length && this.separate(index === 0); index += 1) this.value(values[index]);
    } catch {
      this.add('<unrepresentable>');
    }
    this.leave(close);
  }

  private object(value: object): void {
    if (Array.isArray(value)) return this.list(value, '[', ']');
    if (value instanceof Date) return this.add(datetime(value));
    if (value instanceof Uint8Array) return this.bytes(value);
    if (value instanceof Map) return this.entries(value);
    if (value instanceof Set) return value.size === 0 ? this.add('set()') : this.elements(value);
    if (value instanceof Error) return this.error(value);
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      return this.reduced((value as { toJSON(): unknown }).toJSON());
    }
    this.members(value);
  }

  private error(error: Error): void {
    this.add(`${String(error.name).slice(0, 80)}(`);
    this.string(String(error.message));
    this.add(')');
  }

  /** What toJSON returned; its own toJSON is not called. */
  private reduced(value: unknown): void {
    const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (plain) this.members(value);
    else this.value(value);
  }

  /** One by one, so that an object with very many properties is not copied. */
  private members(value: object): void {
    if (!this.enter('{', '}')) return;
    let first = true;
    try {
      for (const key in value) {
        if (!Object.hasOwn(value, key)) continue;
        if (!this.separate(first)) break;
        this.pair(key, (value as Record<string, unknown>)[key]);
        first = false;
      }
    } catch {
      this.add('<unrepresentable>');
    }
    this.leave('}');
  }

  private entries(map: ReadonlyMap<unknown, unknown>): void {
    if (!this.enter('{', '}')) return;
    let first = true;
    try {
      for (const [key, value] of map) {
        if (!this.separate(first)) break;
        this.pair(key, value);
        first = false;
      }
    } catch {
      this.add('<unrepresentable>');
    }
    this.leave('}');
  }

  private elements(set: ReadonlySet<unknown>): void {
    if (!this.enter('{', '}')) return;
    let first = true;
    try {
      for (const value of set) {
        if (!this.separate(first)) break;
        this.value(value);
        first = false;
      }
    } catch {
      this.add('<unrepresentable>');
    }
    this.leave('}');
  }

  private pair(key: unknown, value: unknown): void {
    this.value(key);
    this.add(': ');
    this.value(value);
  }

  /** False where it is too deep to be shown. */
  private enter(open: string, close: string): boolean {
    if (this.level >= MAX_LEVELS) {
      this.add(`${open}...${close}`);
      return false;
    }
    this.text += open;
    this.level += 1;
    return true;
  }

  private leave(close: string): void {
    this.level -= 1;
    this.text += close;
  }

  /** False when there is no room for another element. */
  private separate(first: boolean): boolean {
    if (this.text.length >= this.budget) {
      if (!this.full) this.text += ', ...';
      this.full = true;
      return false;
    }
    if (!first) this.text += ', ';
    return true;
  }

  private string(value: string): void {
    const room = Math.max(0, this.budget - this.text.length);
    const cut = value.length > room;
    // Cut before it is escaped: the cost is that of the text that is shown.
    const shown = (cut ? value.slice(0, room) : value).replace(ESCAPED, escaped);
    this.add(`'${shown.length > room ? shown.slice(0, room) : shown}${cut ? '...' : ''}'`);
  }

  private bytes(value: Uint8Array): void {
    const room = Math.max(0, this.budget - this.text.length);
    const cut = value.byteLength > room;
    const text = Array.from(value.subarray(0, room), byteText).join('').slice(0, room);
    this.add(`b'${text}${cut ? '...' : ''}'`);
  }

  private add(text: string): void {
    if (!this.full) this.text += text;
  }
}

function primitive(value: unknown): string {
  if (value === undefined || value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'bigint') return value < HUGE && value > -HUGE ? value.toString() : '<huge integer>';
  if (typeof value === 'number') return number(value);
  if (typeof value === 'function') return `<function ${String(value.name).slice(0, 80)}>`;
  return (value as symbol).toString().slice(0, 80);
}

const HUGE = 10n ** 200n;

function number(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0.0' : String(value);
}

function datetime(date: Date): string {
  if (Number.isNaN(date.getTime())) return '<invalid date>';
  return `<datetime ${isoInstant(date.getTime())}>`;
}

/** Quote, backslash and what would break a line of a log. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const ESCAPED = /['\\\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function escaped(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`;
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}

function byteText(byte: number): string {
  const printable = byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c;
  return printable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}
