import type { Duration } from '../config/duration.js';
import { toMilliseconds } from '../config/duration.js';
import { UsageError, showValue } from '../errors/errors.js';

/**
 * How a handler ends otherwise than by returning or failing. Signals are thrown, but they are control flow: never
 * counted as failures, never wrapped. Recognised by brand, so a second copy of the package does no harm.
 */
const BRAND: unique symbol = Symbol.for('@taskqueue/signal') as never;

export type TaskSignalKind = 'retry' | 'snooze' | 'ignore' | 'reject';

/** What a handler throws to say how its run ends. */
export abstract class TaskSignal extends Error {
  abstract readonly kind: TaskSignalKind;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Is it one of the signals that a handler throws to say how its run ends? */
export function isTaskSignal(value: unknown): value is Retry | Snooze | Ignore | Reject {
  return typeof value === 'object' && value !== null && BRAND in value;
}

/** Options of one retry; what is left out is as the policy of the task says. */
export interface RetryOptions {
  /** Wait this long before the next attempt. Default: the task's retry policy. */
  readonly countdown?: Duration;
  /** Not before this instant. Wins over `countdown`. */
  readonly eta?: Date;
  /** Attempts after the first, for this retry. Default: the task's policy. `Infinity` for ever. */
  readonly max?: number;
  /** Replaces the arguments of the next attempt. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** The error that makes the retry necessary; it is the failure when no attempt is left. */
  readonly cause?: unknown;
}

const KNOWN_OF_RETRY: ReadonlySet<string> = new Set<keyof RetryOptions>([
  'countdown',
  'eta',
  'max',
  'args',
  'kwargs',
  'cause',
]);

/** Run the task again later; uses an attempt. Thrown by `ctx.retry()`. */
export class Retry extends TaskSignal {
  readonly kind = 'retry';
  /** Throws UsageError TASK_OPTIONS_INVALID for a wait that cannot be. */
  constructor(readonly options: RetryOptions = {}) {
    super('Retry', options.cause === undefined ? undefined : { cause: options.cause });
    const { countdown, eta, max, args, kwargs } = options;
    for (const key of Object.keys(options)) {
      if (!KNOWN_OF_RETRY.has(key)) throw invalid(`retry.${key}`, key, `one of ${[...KNOWN_OF_RETRY].join(', ')}`);
    }
    if (args !== undefined && !Array.isArray(args)) throw invalid('retry.args', args, 'a list');
    if (kwargs !== undefined && (typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs))) {
      throw invalid('retry.kwargs', kwargs, 'an object');
    }
    if (countdown !== undefined) toMilliseconds(countdown, 'retry.countdown');
    if (eta !== undefined && !(eta instanceof Date && Number.isFinite(eta.getTime()))) {
      throw invalid('retry.eta', eta, 'a valid Date');
    }
    if (max !== undefined && max !== Infinity && !(Number.isInteger(max) && max >= 0)) {
      throw invalid('retry.max', max, 'a whole number from 0, or Infinity');
    }
  }
}

/** Back to the queue for `delay` without using an attempt. */
export class Snooze extends TaskSignal {
  readonly kind = 'snooze';
  constructor(
    readonly delay: Duration,
    readonly reason?: string,
  ) {
    super(reason ?? 'Snooze');
    toMilliseconds(delay, 'snooze.delay');
  }
}

/** Done; store no result and run no callback. */
export class Ignore extends TaskSignal {
  readonly kind = 'ignore';
  constructor(readonly reason?: string) {
    super(reason ?? 'Ignore');
  }
}

/** Refuse the message: to the dead letters, or back to the queue with `requeue`. */
export class Reject extends TaskSignal {
  readonly kind = 'reject';
  readonly requeue: boolean;
  constructor(
    readonly reason: string,
    options: { readonly requeue?: boolean; readonly cause?: unknown } = {},
  ) {
    super(reason, options.cause === undefined ? undefined : { cause: options.cause });
    this.requeue = options.requeue ?? false;
  }
}

function invalid(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    fields: { field, value, expected },
  });
}
