import type { TaskCall } from '../client/task-call.js';
import { parseIsoInstant } from '../message/iso-instant.js';
import { isRecord } from '../message/wire-fields.js';
import type { SignatureOptions } from './signature.js';

type Said =
  | 'queue'
  | 'priority'
  | 'countdownMs'
  | 'eta'
  | 'expires'
  | 'expiresMs'
  | 'timeLimitMs'
  | 'softTimeLimitMs'
  | 'ignoreResult'
  | 'shadow';

/** What the options of a signature say of its call; what they do not say is undefined. */
export type SignatureCall = { readonly [Field in Said]: TaskCall[Field] | undefined } & {
  readonly taskId: string | undefined;
  readonly headers: TaskCall['headers'] | undefined;
};

/**
 * Reads Celery's spelling: seconds as numbers, instants as ISO text; `expires` may be either. Values of another type
 * are left out, as the options of a signature come from other programs too.
 */
export function signatureCall(options: SignatureOptions): SignatureCall {
  const ignoreResult = options['ignore_result'];
  const headers = options['headers'];
  return {
    taskId: text(options.task_id),
    queue: text(options.queue),
    priority: number(options.priority),
    countdownMs: milliseconds(options.countdown),
    eta: instant(options['eta']),
    expires: instant(options['expires']),
    expiresMs: milliseconds(options['expires']),
    timeLimitMs: milliseconds(options['time_limit']),
    softTimeLimitMs: milliseconds(options['soft_time_limit']),
    ignoreResult: typeof ignoreResult === 'boolean' ? ignoreResult : undefined,
    shadow: text(options['shadow']),
    headers: isRecord(headers) ? headers : undefined,
  };
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** Of seconds. */
function milliseconds(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value * 1_000 : undefined;
}

function instant(value: unknown): number | undefined {
  if (value instanceof Date) return value.getTime();
  return typeof value === 'string' ? parseIsoInstant(value) : undefined;
}
