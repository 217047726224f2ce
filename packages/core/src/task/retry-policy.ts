import type { Duration } from '../config/duration.js';
import { toMilliseconds } from '../config/duration.js';
import { isTaskQueueError, showValue, UsageError } from '../errors/errors.js';

/** A class of errors, or the name of one (also a Python exception's), or a test. */
export type ErrorMatcher = (new (...args: never[]) => Error) | string | ((error: unknown) => boolean);

/** When and how a failed attempt is followed by another one. */
export interface RetryOptionsInit {
  /** Attempts after the first. Default 3. `Infinity` for ever; 0 never. */
  readonly max?: number;
  /** Errors that are retried without being asked. Default: none, as in Celery; `true` for all. */
  readonly for?: readonly ErrorMatcher[] | true;
  /** Exceptions to `for`. */
  readonly notFor?: readonly ErrorMatcher[];
  /** Wait before the second attempt. Default 180 s for `fixed` as in Celery, 1 s for `exponential`. */
  readonly delay?: Duration;
  /** `fixed`: always `delay`. `exponential`: `delay` × 2^n, at most `maxDelay`. Default `fixed`. */
  readonly backoff?: 'fixed' | 'exponential';
  /** Cap of exponential backoff. Default 600 s. */
  readonly maxDelay?: Duration;
  /** Full jitter: a random wait between 0 and the computed one. Default true for `exponential`, false for `fixed`. */
  readonly jitter?: boolean;
}

/** When a task that failed runs again. */
export interface RetryPolicy {
  readonly max: number;
  readonly for: readonly ErrorMatcher[] | true;
  readonly notFor: readonly ErrorMatcher[];
  readonly delayMs: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly maxDelayMs: number;
  readonly jitter: boolean;
}

export const DEFAULT_MAX_RETRIES = 3;
export const DEFAULT_FIXED_RETRY_DELAY_MS = 180_000;
export const DEFAULT_BACKOFF_DELAY_MS = 1_000;
export const DEFAULT_MAX_RETRY_DELAY_MS = 600_000;

/** Fills in the defaults; throws TASK_OPTIONS_INVALID that names the field. */
export function retryPolicy(init: RetryOptionsInit = {}): RetryPolicy {
  if (typeof init !== 'object' || init === null) throw invalid('retry', init, 'an object such as { max: 0 }');
  for (const key of Object.keys(init)) {
    if (!KNOWN.has(key)) throw invalid(`retry.${key}`, key, `one of ${[...KNOWN].join(', ')}`);
  }
  if (init.for !== undefined && init.for !== true) checkMatchers(init.for, 'retry.for');
  if (init.notFor !== undefined) checkMatchers(init.notFor, 'retry.notFor');
  if (init.jitter !== undefined && typeof init.jitter !== 'boolean') {
    throw invalid('retry.jitter', init.jitter, 'true or false');
  }
  const backoff = init.backoff ?? 'fixed';
  if (backoff !== 'fixed' && backoff !== 'exponential')
    throw invalid('retry.backoff', backoff, "'fixed' or 'exponential'");
  const max = init.max ?? DEFAULT_MAX_RETRIES;
  if (!(max === Infinity || (Number.isInteger(max) && max >= 0))) {
    throw invalid('retry.max', max, 'a whole number from 0, or Infinity');
  }
  return {
    max,
    for: init.for ?? [],
    notFor: init.notFor ?? [],
    backoff,
    delayMs: toMilliseconds(
      init.delay ?? (backoff === 'fixed' ? DEFAULT_FIXED_RETRY_DELAY_MS : DEFAULT_BACKOFF_DELAY_MS),
      'retry.delay',
    ),
    maxDelayMs: toMilliseconds(init.maxDelay ?? DEFAULT_MAX_RETRY_DELAY_MS, 'retry.maxDelay'),
    jitter: init.jitter ?? backoff === 'exponential',
  };
}

const KNOWN: ReadonlySet<string> = new Set<keyof RetryOptionsInit>([
  'max',
  'for',
  'notFor',
  'delay',
  'backoff',
  'maxDelay',
  'jitter',
]);

/** Throws TASK_OPTIONS_INVALID for what is no list of error classes, names and tests. */
export function checkMatchers(value: unknown, field: string): void {
  const isMatcher = (one: unknown): boolean => typeof one === 'function' || (typeof one === 'string' && one !== '');
  if (Array.isArray(value) && value.every(isMatcher)) return;
  throw invalid(field, value, 'a list of error classes, names or tests');
}

/** Does the policy retry this error by itself? Errors of ours that can never succeed are not retried. */
export function retriesError(policy: RetryPolicy, error: unknown): boolean {
  if (isTaskQueueError(error) && !error.retryable && error.code === 'TASK_ARGUMENTS_INVALID') return false;
  if (policy.notFor.some((matcher) => matches(matcher, error))) return false;
  return policy.for === true || policy.for.some((matcher) => matches(matcher, error));
}

/** The wait before attempt `retries` + 1, milliseconds. `retries` counts the retries already made. */
export function retryDelayMs(policy: RetryPolicy, retries: number, random: () => number): number {
  const delay =
    policy.backoff === 'fixed'
      ? policy.delayMs
      : Math.min(policy.maxDelayMs, policy.delayMs * 2 ** Math.min(retries, 60));
  return Math.round(policy.jitter ? random() * delay : delay);
}

/** Is `error` of this kind? Classes match by `instanceof`, names by the error's own name or any superclass's. */
export function matches(matcher: ErrorMatcher, error: unknown): boolean {
  if (typeof matcher === 'string') return errorNames(error).includes(matcher);
  if (isErrorClass(matcher)) return error instanceof matcher;
  return (matcher as (error: unknown) => boolean)(error);
}

function isErrorClass(matcher: unknown): matcher is new () => Error {
  const prototype: unknown = (matcher as { prototype?: unknown }).prototype;
  return matcher === Error || prototype instanceof Error;
}

function errorNames(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const names = [error.name];
  for (
    let proto: unknown = Object.getPrototypeOf(error);
    proto !== null && proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto)
  ) {
    names.push((proto as object).constructor.name);
  }
  return names;
}

function invalid(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    fields: { field, value, expected },
  });
}
