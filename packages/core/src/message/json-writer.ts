import { isTaskQueueError, UsageError } from '../errors/errors.js';
import type { CeleryDialect } from './celery-dialect.js';
import { isoInstant, isWireInstant } from './iso-instant.js';
import { MAX_INTEGER_DIGITS } from './json-reader.js';
import { isKnownTag } from './json-tags.js';
import { isForbiddenKey } from './payload-limits.js';
import type { PayloadLimits } from './payload-limits.js';

export interface WriteJsonOptions {
  readonly dialect: CeleryDialect;
  readonly limits: PayloadLimits;
  /** What the value is called in error messages; for a tuple, what its elements are called. */
  readonly names: string | readonly string[];
}

/**
 * A value as JSON text, as Python would write it, and all of it ASCII. Throws UsageError VALUE_NOT_SERIALIZABLE and nothing else: also
 * for getters and `toJSON` methods that throw. Stops as soon as a limit is passed.
 */
export function writeJson(value: unknown, options: WriteJsonOptions): string {
  return new JsonWriter(options).written(value);
}

/** What is wrong with a value, and what to do about it. */
type Problem = readonly [what: string, remedy: string];

class JsonWriter {
  private text = '';
  private keys = 0;
  private readonly path: (string | number)[] = [];
  private readonly ancestors: object[] = [];
  /** Length of the path to each ancestor. */
  private readonly depths: number[] = [];
  private readonly limits: PayloadLimits;

  constructor(private readonly options: WriteJsonOptions) {
    this.limits = options.limits;
  }

  written(value: unknown): string {
    try {
      this.write(value);
    } catch (error) {
      if (isTaskQueueError(error, 'VALUE_NOT_SERIALIZABLE')) throw error;
      // A getter, a Proxy or toJSON threw; the path still says where.
      this.refuse(undefined, ['threw when it was read', 'Send plain data.'], error);
    }
    return this.text;
  }

  private write(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.writeString(value);
      case 'number':
        return this.writeNumber(value);
      case 'boolean':
        return this.add(value ? 'true' : 'false');
      case 'bigint':
        return this.writeBigInt(value);
      case 'undefined':
        return this.add('null');
      case 'object':
        return value === null ? this.add('null') : this.writeObject(value);
      default:
        return this.refuse(value, [`is a ${typeof value}`, 'Send data, and look the behaviour up in the handler.']);
    }
  }

  private writeString(value: string): void {
    // Before it is escaped, which would copy it.
    if (this.text.length + value.length > this.limits.maxBytes) this.refuseSize();
    if (!NEEDS_ESCAPE.test(value)) return this.add(`"${value}"`);
    this.add(JSON.stringify(value).replace(NOT_ASCII, escapeCharacter));
  }

  private writeNumber(value: number): void {
    if (!Number.isFinite(value)) this.refuse(value, [`is ${value}`, 'Send null or text instead.']);
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) return this.add(value.toExponential());
    this.add(Object.is(value, -0) ? '-0.0' : String(value));
  }

  private writeBigInt(value: bigint): void {
    if (value >= INTEGER_BOUND || value <= -INTEGER_BOUND) {
      this.refuse(value, [`has more than ${MAX_INTEGER_DIGITS} digits`, 'Send it as text.']);
    }
    this.add(value.toString());
  }

  private writeObject(value: object): void {
    if (Array.isArray(value)) return this.writeArray(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      if (value instanceof Date) return this.writeDate(value);
      if (value instanceof Uint8Array) return this.writeBytes(value);
      if (value instanceof Map) return this.writeMap(value);
      if (value instanceof Set) return this.writeArray([...value], value);
    }
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return this.writeReduced(value);
    this.writePlain(value);
  }

  private writeArray(values: readonly unknown[], owner: object = values): void {
    this.enter(owner);
    this.add('[');
    for (let index = 0; index < values.length; index += 1) {
      if (index > 0) this.add(', ');
      this.path.push(index);
      this.write(values[index]);
      this.path.pop();
    }
    this.add(']');
    this.leave();
  }

  private writeMap(map: ReadonlyMap<unknown, unknown>): void {
    const keys = [...map.keys()];
    const odd = keys.find((key) => typeof key !== 'string');
    if (odd !== undefined || map.has(undefined)) {
      this.refuse(map, [`has a key of type ${typeof odd}`, 'Use string keys, or send an array of pairs.']);
    }
    this.writeMembers(map, keys as string[], (key) => map.get(key));
  }

  private writeReduced(value: object): void {
    const reduced: unknown = (value as { toJSON(key: string): unknown }).toJSON(String(this.path.at(-1) ?? ''));
    if (reduced === value) return this.writePlain(value);
    // Entered, so that a toJSON that returns ever new objects comes to an end.
    this.enter(value);
    this.write(reduced);
    this.leave();
  }

  private writePlain(value: object): void {
    const problem = unsendable(value);
    if (problem !== undefined) this.refuse(value, problem);
    this.writeMembers(value, Object.keys(value), (key) => (value as Record<string, unknown>)[key]);
  }

  private writeMembers(owner: object, keys: readonly string[], read: (key: string) => unknown): void {
    this.enter(owner);
    // Data that looks like a tag would be read as something else, or not at all.
    if (keys.length === 2 && keys.includes('__type__') && keys.includes('__value__') && !isKnownTag(read('__type__'))) {
      this.refuse(owner, ['has the keys __type__ and __value__, which mark tagged values', 'Rename the keys.']);
    }
    let written = 0;
    this.add('{');
    for (const key of keys) {
      this.path.push(key);
      const value = read(key);
      if (value !== undefined) {
        if (isForbiddenKey(key)) this.refuse(value, ['has a key that no message may hold', 'Rename the key.']);
        this.countKeys(1);
        if (written > 0) this.add(', ');
        this.writeString(key);
        this.add(': ');
        this.write(value);
        written += 1;
      }
      this.path.pop();
    }
    this.add('}');
    this.leave();
  }

  private writeDate(value: Date): void {
    const instant = value.getTime();
    if (!isWireInstant(instant)) {
      this.refuse(value, ['is not a date of the years 1 to 9999', 'Send a valid date, or null.']);
    }
    if (this.options.dialect === '5.2') return this.add(`"${isoInstant(instant, 'Z')}"`);
    this.writeTagged(value, 'datetime', isoInstant(instant));
  }

  private writeBytes(value: Uint8Array): void {
    if (this.options.dialect === '5.2') {
      this.refuse(value, ['cannot be sent in dialect 5.2', 'Send base64 text, or use dialect 5.6.']);
    }
    if (this.text.length + value.byteLength > this.limits.maxBytes) this.refuseSize();
    const text = utf8Text(value);
    if (text !== undefined) return this.writeTagged(value, 'bytes', text);
    this.writeTagged(value, 'base64', Buffer.from(value).toString('base64'));
  }

  private writeTagged(owner: object, type: string, value: string): void {
    this.enter(owner);
    this.countKeys(2);
    this.add(`{"__type__": "${type}", "__value__": `);
    this.writeString(value);
    this.add('}');
    this.leave();
  }

  private enter(value: object): void {
    if (this.ancestors.length >= this.limits.maxDepth) this.refuseDepth(value);
    this.ancestors.push(value);
    this.depths.push(this.path.length);
  }

  private leave(): void {
    this.ancestors.pop();
    this.depths.pop();
  }

  private countKeys(count: number): void {
    this.keys += count;
    if (this.keys <= this.limits.maxKeys) return;
    this.refuse(undefined, [
      `brings the keys to more than ${this.limits.maxKeys}`,
      'Send less, or raise the limit maxKeys.',
    ]);
  }

  private add(text: string): void {
    this.text += text;
    if (this.text.length > this.limits.maxBytes) this.refuseSize();
  }

  private refuseSize(): never {
    const remedy = 'Send a reference to the data instead of the data, or raise the limit maxBytes.';
    return this.refuse(undefined, [`brings the body to more than ${this.limits.maxBytes} bytes`, remedy]);
  }

  /** A cycle is a depth without end; looking for it only here costs nothing where there is none. */
  private refuseDepth(value: object): never {
    const again = this.ancestors.findIndex((ancestor, index) => this.ancestors.indexOf(ancestor) < index);
    if (again >= 0) {
      this.path.length = this.depths[again] as number;
      this.refuse(this.ancestors[again], ['refers to itself', 'Send ids instead of references.']);
    }
    const remedy = 'Flatten it, or raise the limit maxDepth.';
    return this.refuse(value, [`is nested more than ${this.limits.maxDepth} deep`, remedy]);
  }

  /** `value` undefined: what is at the path is not what is wrong, or cannot be read. */
  private refuse(value: unknown, [what, remedy]: Problem, cause?: unknown): never {
    const field = pathText(this.options.names, this.path);
    const type = value === undefined ? undefined : typeName(value);
    throw new UsageError({
      code: 'VALUE_NOT_SERIALIZABLE',
      message: `${field}${type === undefined ? '' : ` (${type})`} cannot be sent: it ${what}.`,
      remedy,
      fields: { field, ...(type === undefined ? {} : { type }) },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

const INTEGER_BOUND = 10n ** BigInt(MAX_INTEGER_DIGITS);

/** Everything but printable ASCII without quote and backslash. */
const NEEDS_ESCAPE = /[^ !#-[\]-~]/;
const NOT_ASCII = /[\u007f-\uffff]/g;

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Objects whose enumerable properties are not what they are. */
function unsendable(value: object): Problem | undefined {
  if (value instanceof Error) return ['is an Error', 'Send its message, or throw it.'];
  if (typeof (value as { then?: unknown }).then === 'function') return ['is a promise', 'Await it first.'];
  if (value instanceof RegExp) return ['is a RegExp', 'Send its source.'];
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return ['is a buffer', 'Send a Uint8Array.'];
  if (value instanceof WeakMap || value instanceof WeakSet) return ['cannot be listed', 'Send an array.'];
  if (value instanceof Number || value instanceof String || value instanceof Boolean) {
    return ['is a primitive in a box', 'Send its valueOf().'];
  }
  return undefined;
}

function typeName(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  try {
    const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)?.constructor
      ?.name;
    return typeof name === 'string' && name !== '' ? name.slice(0, 80) : 'object';
  } catch {
    return 'object';
  }
}

/** `args[0].user.tags[2]` */
function pathText(names: string | readonly string[], path: readonly (string | number)[]): string {
  const [first, ...rest] = path;
  const named = typeof names !== 'string' && typeof first === 'number';
  const root = typeof names === 'string' ? names : named ? (names[first] ?? `[${first}]`) : '';
  const text = root + (named ? rest : path).map(segment).join('');
  const shown = text.startsWith('.') ? text.slice(1) : text;
  return shown.length > MAX_PATH_TEXT ? `${shown.slice(0, MAX_PATH_TEXT)}...` : shown || 'value';
}

const MAX_PATH_TEXT = 200;

function segment(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
