import type { FailureRecord } from '../errors/errors.js';
import { pythonRepr } from './python-repr.js';

/** Bounds of a failure record, in characters. */
export interface FailureLimits {
  /** Default 4096. */
  readonly maxMessage?: number;
  /** Default 16384. */
  readonly maxStack?: number;
}

export const DEFAULT_MAX_FAILURE_MESSAGE = 4_096;
export const DEFAULT_MAX_FAILURE_STACK = 16_384;

/** Type of the record when something else than an error was thrown. */
export const NON_ERROR_TYPE = 'NonErrorThrown';

const MAX_NAME = 128;
const MAX_CAUSES = 5;
const MAX_AGGREGATED = 5;

/**
 * Anything that was thrown as a record: bounded, never throws, never awaits. Causes are followed five deep; the first errors of an AggregateError are named in its message.
 */
export function failureFrom(error: unknown, limits: FailureLimits = {}): FailureRecord {
  const { maxMessage = DEFAULT_MAX_FAILURE_MESSAGE, maxStack = DEFAULT_MAX_FAILURE_STACK } = limits;
  return record(error, { maxMessage, maxStack }, []);
}

/**
 * An error that stands for a remote one: its name, message, code and cause, and the remote stack. Always a plain
 * `Error`: a class is never chosen by what was received.
 */
export function errorFromFailure(failure: FailureRecord): Error {
  const cause = failure.cause === undefined ? undefined : errorFromFailure(failure.cause);
  const error = new Error(failure.message, cause === undefined ? undefined : { cause });
  define(error, 'name', failure.type);
  define(error, 'stack', failure.stack ?? `${failure.type}: ${failure.message}`);
  if (failure.code !== undefined) define(error, 'code', failure.code);
  return error;
}

type Bounds = Required<FailureLimits>;

function record(error: unknown, bounds: Bounds, seen: readonly unknown[]): FailureRecord {
  if (!isErrorLike(error))
    return { type: NON_ERROR_TYPE, module: MODULE, message: bounded(shown(error), bounds.maxMessage) };
  const type = errorType(error);
  const own = text(read(error, 'message')) ?? '';
  const message = bounded(own + aggregated(error), bounds.maxMessage);
  const stack = text(read(error, 'stack'));
  const code = read(error, 'code');
  const cause = causeOf(error, bounds, [...seen, error]);
  return {
    type,
    module: MODULE,
    message,
    ...(stack === undefined ? {} : { stack: boundedStack(stack, own, bounds) }),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: bounded(String(code), MAX_NAME) } : {}),
    ...(cause === undefined ? {} : { cause }),
  };
}

/** Python looks the type up here, so that a TypeError is one there too; others become a class of that name. */
const MODULE = 'builtins';

function causeOf(error: object, bounds: Bounds, seen: readonly unknown[]): FailureRecord | undefined {
  const cause = read(error, 'cause');
  if (cause === undefined || cause === null || seen.length > MAX_CAUSES || seen.includes(cause)) return undefined;
  return record(cause, bounds, seen);
}

/** Errors of other realms, and what libraries throw in their stead, count as errors. */
function isErrorLike(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return (
      value instanceof Error || (typeof read(value, 'message') === 'string' && typeof read(value, 'stack') === 'string')
    );
  } catch {
    return false;
  }
}

/** The name; the class's own name where the name is only inherited from a built-in error. */
function errorType(error: object): string {
  const name = text(read(error, 'name')) || 'Error';
  if (!BUILT_IN.has(name)) return bounded(name, MAX_NAME);
  const constructor = read(error, 'constructor');
  const className = typeof constructor === 'function' ? text(read(constructor, 'name')) : undefined;
  return className === undefined || className === '' || BUILT_IN.has(className) ? name : bounded(className, MAX_NAME);
}

const BUILT_IN: ReadonlySet<string> = new Set(
  'Error TypeError RangeError SyntaxError ReferenceError EvalError URIError AggregateError'.split(' '),
);

function aggregated(error: object): string {
  const errors = read(error, 'errors');
  if (!Array.isArray(errors) || !isInstance(error, AggregateError)) return '';
  const first = errors.slice(0, MAX_AGGREGATED).map((entry: unknown) => {
    if (!isErrorLike(entry)) return shown(entry);
    return `${errorType(entry)}: ${bounded(text(read(entry, 'message')) ?? '', 200)}`;
  });
  const more = errors.length > first.length ? `; and ${errors.length - first.length} more` : '';
  return ` [${first.join('; ')}${more}]`;
}

function isInstance(value: object, type: typeof AggregateError): boolean {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** A thrown value that is no error. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) return pythonRepr(value, { maxLength: 256 });
  if (typeof value === 'function') return pythonRepr(value);
  return typeof value === 'bigint' ? `${pythonRepr(value)}n` : String(value);
}

function read(value: object, property: string): unknown {
  try {
    return (value as Record<string, unknown>)[property];
  } catch {
    return undefined;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** At most `max` characters, and without NUL, which some stores refuse. */
function bounded(value: string, max: number): string {
  // A copy: a slice would keep the whole text in memory, and might end in half a character.
  const kept = value.length <= max ? value : Buffer.from(value.slice(0, Math.max(0, max - 3))).toString() + '...';
  return kept.includes('\0') ? kept.replaceAll('\0', '\uFFFD') : kept;
}

/** A stack begins with the whole message; a long one would leave no room for the frames. */
function boundedStack(stack: string, message: string, { maxMessage, maxStack }: Bounds): string {
  const start = message.length > maxMessage ? stack.indexOf(message) : -1;
  if (start < 0) return bounded(stack, maxStack);
  const head = stack.slice(0, start) + bounded(message, maxMessage);
  return bounded(head + stack.slice(start + message.length, start + message.length + maxStack), maxStack);
}

function define(error: Error, property: string, value: string): void {
  Object.defineProperty(error, property, { value, configurable: true, writable: true, enumerable: false });
}
