import { showValue } from '../errors/errors.js';
import { parseIsoInstant } from './iso-instant.js';
import { isForbiddenKey } from './payload-limits.js';
import type { WireSignature } from './task-message.js';
import { undecodable } from './undecodable.js';

/** Fields of a message that somebody else wrote: headers, properties or the object of protocol 1. */
export type WireFields = Readonly<Record<string, unknown>>;

/**
 * Readers of single fields. A missing or null field is undefined; one of another type is DECODE_FAILED that names it.
 * Only known names are read, so that nothing is ever looked up by a name from the wire.
 */
export function optionalText(fields: WireFields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw illTyped(name, 'text', value);
}

/** Ids and names become keys, rows and log lines: not empty, at most 255 characters, no control characters. */
export function optionalName(fields: WireFields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (isWireName(value)) return value;
  throw illTyped(name, `1 to ${MAX_NAME_LENGTH} characters without control characters`, value);
}

/** Like {@link optionalName}, but it must be there. */
export function requiredName(fields: WireFields, name: string): string {
  const value = optionalName(fields, name);
  if (value === undefined) throw illTyped(name, 'text', fields[name]);
  return value;
}

const MAX_NAME_LENGTH = 255;
// oxlint-disable-next-line no-control-regex -- control characters are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Can this be a task id or a task name on the wire? */
export function isWireName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH && !CONTROL.test(value);
}

/** A count from 0 to 2^31 - 1. */
export function optionalCount(fields: WireFields, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_COUNT) return value;
  throw illTyped(name, `a whole number from 0 to ${MAX_COUNT}`, value);
}

/** Of what is counted: more is refused in messages, and fits into no column. */
export const MAX_COUNT = 2_147_483_647;

export function optionalFlag(fields: WireFields, name: string): boolean | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  throw illTyped(name, 'true or false', value);
}

/** Epoch milliseconds of ISO 8601 text. */
export function optionalInstant(fields: WireFields, name: string): number | undefined {
  const text = optionalText(fields, name);
  if (text === undefined) return undefined;
  const instant = parseIsoInstant(text);
  if (instant === undefined) throw illTyped(name, 'an ISO 8601 instant', text);
  return instant;
}

export function optionalRecord(fields: WireFields, name: string): WireFields | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (isRecord(value)) return value;
  throw illTyped(name, 'an object', value);
}

export function optionalList(fields: WireFields, name: string): readonly unknown[] | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value as readonly unknown[];
  throw illTyped(name, 'a list', value);
}

/** Celery's `timelimit`: [hard, soft] in seconds; 0 is none. */
export function timeLimits(fields: WireFields): readonly [hardMs: number | undefined, softMs: number | undefined] {
  const pair = optionalList(fields, 'timelimit');
  if (pair === undefined) return NO_LIMITS;
  if (pair.length !== 2) throw illTyped('timelimit', '[hard, soft]', pair);
  return [limitMs(pair[0]), limitMs(pair[1])];
}

const NO_LIMITS = [undefined, undefined] as const;

/** A list of signatures; a single one counts as a list. */
export function optionalSignatures(fields: WireFields, name: string): readonly WireSignature[] | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) return [signature(value, name)];
  return value.map((entry, index) => signature(entry, `${name}[${index}]`));
}

/** A signature. The object itself when nothing is missing from it. */
export function optionalSignature(fields: WireFields, name: string): WireSignature | undefined {
  const value = fields[name];
  return value === undefined || value === null ? undefined : signature(value, name);
}

/** A plain object: what JSON calls one. */
export function isRecord(value: unknown): value is WireFields {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !ArrayBuffer.isView(value)
  );
}

/**
 * Refuses keys that could change the prototype of an object, and values nested deeper than anybody nests headers.
 */
export function checkKeys(value: unknown, name: string, depth = 0): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  if (depth > MAX_HEADER_DEPTH) throw illTyped(name, `a value nested at most ${MAX_HEADER_DEPTH} deep`, '...');
  if (Array.isArray(value)) {
    for (const entry of value) checkKeys(entry, name, depth + 1);
    return;
  }
  for (const key of Object.keys(value)) {
    if (isForbiddenKey(key))
      throw undecodable(`${name} has the key "${key}", which is not allowed in a message.`, { field: name });
    checkKeys((value as WireFields)[key], name, depth + 1);
  }
}

const MAX_HEADER_DEPTH = 32;

/** The error of a field that is not what it must be. */
export function illTyped(field: string, expected: string, value: unknown): Error {
  const missing = value === undefined || value === null;
  const message = missing ? `${field} is missing.` : `${field} must be ${expected}, got ${showBounded(value)}.`;
  return undecodable(message, { field, expected });
}

function showBounded(value: unknown): string {
  if (typeof value === 'object') return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
  return showValue(typeof value === 'string' ? value.slice(0, 100) : value);
}

/** Longer limits are no limits, and their milliseconds could not be counted. */
export const MAX_LIMIT_SECONDS = 2_147_483_647;

function limitMs(seconds: unknown): number | undefined {
  if (seconds === undefined || seconds === null || seconds === 0) return undefined;
  if (typeof seconds === 'number' && seconds > 0 && seconds <= MAX_LIMIT_SECONDS)
    return Math.max(1, Math.round(seconds * 1000));
  throw illTyped('timelimit', '[hard, soft] in seconds', seconds);
}

function signature(value: unknown, path: string): WireSignature {
  if (!isRecord(value)) throw illTyped(path, 'a signature', value);
  const task = requiredSignatureTask(value, path);
  const complete = {
    args: optionalList(value, 'args'),
    kwargs: optionalRecord(value, 'kwargs'),
    options: optionalRecord(value, 'options'),
    subtask_type: optionalText(value, 'subtask_type') ?? null,
    immutable: optionalFlag(value, 'immutable'),
  };
  const { args, kwargs, options, immutable } = complete;
  if (args !== undefined && kwargs !== undefined && options !== undefined && immutable !== undefined) {
    return value as WireSignature;
  }
  return {
    ...value,
    ...complete,
    task,
    args: args ?? [],
    kwargs: kwargs ?? {},
    options: options ?? {},
    immutable: immutable ?? false,
  };
}

function requiredSignatureTask(value: WireFields, path: string): string {
  if (isWireName(value['task'])) return value['task'];
  throw illTyped(`${path}.task`, 'a task name', value['task']);
}
