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
 */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'retry'; readonly options: RetryOptions }
  | { readonly kind: 'snoozed'; readonly delayMs: number }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'rejected'; readonly reason: string; readonly requeue: boolean; readonly error?: unknown }
  | { readonly kind: 'timed-out'; readonly limitMs: number }
  | { readonly kind: 'revoked' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'lost' };
