import type { Signature } from '../canvas/signature.js';
import { parseDuration } from '../config/duration.js';
import { stampRevocationIds } from '../control/stamp-revocation.js';
import { showValue, UsageError } from '../errors/errors.js';
import type { ApplyOptions, PublishRetry } from './task-call.js';

const KNOWN: ReadonlySet<string> = new Set<keyof ApplyOptions>([
  'countdown',
  'eta',
  'expires',
  'queue',
  'priority',
  'taskId',
  'headers',
  'stamps',
  'kwargs',
  'timeLimit',
  'softTimeLimit',
  'ignoreResult',
  'link',
  'linkError',
  'shadow',
  'argsRepr',
  'kwargsRepr',
  'retry',
  'manager',
]);

const KNOWN_OF_RETRY: ReadonlySet<string> = new Set<keyof PublishRetry>(['max', 'delay', 'maxDelay']);

/** A call without any; it need not be checked. */
export const NO_OPTIONS: ApplyOptions = Object.freeze({});

/** Options that types cannot vouch for: a typing mistake must not run a task at once that should wait an hour. */
export function checkApplyOptions(options: ApplyOptions): void {
  if (!isRecord(options)) throw invalid('options', options, 'an object');
  for (const key of Object.keys(options)) {
    if (!KNOWN.has(key)) throw invalid(key, options[key as keyof ApplyOptions], `one of ${[...KNOWN].join(', ')}`);
  }
  const { ignoreResult, taskId, stamps, retry, timeLimit, softTimeLimit } = options;
  if (ignoreResult !== undefined && typeof ignoreResult !== 'boolean') {
    throw invalid('ignoreResult', ignoreResult, 'true or false');
  }
  if (taskId !== undefined && (typeof taskId !== 'string' || taskId === '' || taskId.length > 255)) {
    throw invalid('taskId', taskId, '1 to 255 characters');
  }
  if (stamps !== undefined && stampRevocationIds(stamps) === undefined) {
    throw invalid('stamps', stamps, 'an object of names with text, numbers or flags, or lists of them');
  }
  for (const field of ['headers', 'kwargs'] as const) {
    if (options[field] !== undefined && !isRecord(options[field])) throw invalid(field, options[field], 'an object');
  }
  for (const field of ['link', 'linkError'] as const) {
    const given = options[field];
    if (given !== undefined && ![given].flat().every(isSignature)) {
      throw invalid(field, options[field], 'a signature or several, as client.for(Tasks).method.s() makes them');
    }
  }
  for (const field of ['shadow', 'argsRepr', 'kwargsRepr'] as const) {
    if (options[field] !== undefined && typeof options[field] !== 'string')
      throw invalid(field, options[field], 'text');
  }
  if (retry !== undefined && retry !== false && !isRecord(retry)) throw invalid('retry', retry, 'false or an object');
  for (const key of Object.keys(retry === false ? {} : (retry ?? {}))) {
    if (!KNOWN_OF_RETRY.has(key)) throw invalid(`retry.${key}`, key, `one of ${[...KNOWN_OF_RETRY].join(', ')}`);
  }
  if (typeof retry === 'object' && retry.max !== undefined && !(retry.max === Infinity || isCount(retry.max))) {
    throw invalid('retry.max', retry.max, 'a whole number from 0, or Infinity');
  }
  const [soft, hard] = [parseDuration(softTimeLimit), parseDuration(timeLimit)];
  if (soft !== undefined && hard !== undefined && soft > hard) {
    throw invalid('softTimeLimit', softTimeLimit, 'not more than timeLimit');
  }
}

/** Positional arguments are a list; anything else would only be found out by the worker. */
export function checkArguments(task: string, args: unknown): void {
  if (Array.isArray(args)) return;
  throw new UsageError({
    code: 'TASK_ARGUMENTS_INVALID',
    message: `The arguments of task "${task}" must be an array, got ${showValue(args)}.`,
    remedy: 'Give applyAsync([a, b]) and bulk([[a, b], …]).',
    fields: { field: 'args', task },
  });
}

/** By what is asked of it: another copy of this package has a class of its own. */
function isSignature(value: unknown): boolean {
  return typeof (value as Partial<Signature> | null)?.toWire === 'function';
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function invalid(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    fields: { field, value, expected },
  });
}
