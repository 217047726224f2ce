import type { FailureRecord } from '../errors/errors.js';
import type { EncodedValue } from '../ports/result-backend.js';
import type { Judgement } from './judgement.js';
import type { RetryOptions } from './task-signals.js';

/**
 * How a run ended, as a closed union. Made by the pool side, read by the executor side.
 *
 * | outcome     | message                                  | record            |
 * |-------------|------------------------------------------|-------------------|
 * | succeeded   | acknowledged                             | SUCCESS           |
 * | failed      | retried by policy, else acknowledged     | RETRY or FAILURE  |
 * | retry       | replaced, later; failed when used up     | RETRY or FAILURE  |
 * | snoozed     | replaced, later, attempt not used        | unchanged         |
 * | ignored     | acknowledged                             | IGNORED           |
 * | rejected    | dead letter, or released with `requeue`  | REJECTED or none  |
 * | timed-out   | acknowledged or retried by policy        | FAILURE or RETRY  |
 * | revoked     | acknowledged                             | REVOKED           |
 * | interrupted | released                                 | none              |
 * | lost        | nothing: someone else has it             | none              |
 * | worker-lost | replaced, counted; dead letter too often | none or FAILURE   |
 * | undecided   | acknowledged                             | FAILURE           |
 *
 * An outcome from another thread or process brings with it what could not be found out here: the value as it was encoded
 * there, and what the task's policy says of an error.
 */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly value: unknown; readonly encoded?: EncodedValue }
  | { readonly kind: 'failed'; readonly error: unknown; readonly judgement?: Judgement }
  /** `judgement` is of the cause. */
  | { readonly kind: 'retry'; readonly options: RetryOptions; readonly judgement?: Judgement }
  | { readonly kind: 'snoozed'; readonly delayMs: number }
  | { readonly kind: 'ignored' }
  | {
      readonly kind: 'rejected';
      readonly reason: string;
      readonly requeue: boolean;
      readonly error?: unknown;
      readonly failure?: FailureRecord;
    }
  | { readonly kind: 'timed-out'; readonly limitMs: number }
  | { readonly kind: 'revoked' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'lost' }
  /** The thread or process that ran it has ended; `reason` says how, for people. */
  | { readonly kind: 'worker-lost'; readonly reason: string }
  /** What it returned or asked for cannot be sent or judged; no retry mends that. */
  | { readonly kind: 'undecided'; readonly judgement: Judgement };
