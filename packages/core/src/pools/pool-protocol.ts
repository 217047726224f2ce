import type { FailureRecord } from '../errors/errors.js';
import type { Execution } from '../ports/execution-pool.js';
import type { EncodedValue } from '../ports/result-backend.js';
import type { Judgement } from '../task/judgement.js';
import type { RetryOptions } from '../task/task-signals.js';
import type { ErrorNote } from './error-note.js';

/**
 * What a worker and its children say to each other, as plain data that a structured clone carries. A child has one run at
 * a time; `id` tells it from the one before.
 *
 * ```text
 *   worker                                   child
 *     │◄───────────────── ready (or refused) ──│  the application has booted (or cannot)
 *     │── run ────────────────────────────────►│
 *     │◄──────────────────────────── progress ─│
 *     │── progressed ─────────────────────────►│  it is stored
 *     │── abort ──────────────────────────────►│  soft limit, revoked, lease lost, shutdown
 *     │◄───────────────────────────── outcome ─│
 *     │── bye ────────────────────────────────►│  closes its application and exits
 * ```
 */
export type ToChild =
  | { readonly type: 'run'; readonly id: number; readonly execution: Execution; readonly weigh: boolean }
  | { readonly type: 'abort'; readonly id: number; readonly reason: ErrorNote }
  | { readonly type: 'progressed'; readonly id: number; readonly call: number; readonly error?: ErrorNote }
  | { readonly type: 'bye' };

export type FromChild =
  | { readonly type: 'ready' }
  /** It cannot boot, and why. */
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'progress'; readonly id: number; readonly call: number; readonly value: EncodedValue }
  /** Its tracer has begun with it; the context of that. */
  | { readonly type: 'traced'; readonly id: number; readonly context: string }
  /** `bytes`: the memory that the child has, where it was asked to weigh itself. */
  | { readonly type: 'outcome'; readonly id: number; readonly outcome: OutcomeNote; readonly bytes?: number };

/** An outcome as data. Values are encoded where they were made, and errors judged where they were thrown. */
export type OutcomeNote =
  | { readonly kind: 'succeeded'; readonly value: EncodedValue | undefined }
  | { readonly kind: 'failed'; readonly judgement: Judgement }
  | {
      readonly kind: 'retry';
      readonly options: Pick<RetryOptions, 'countdown' | 'eta' | 'max'>;
      /** `[args, kwargs]`, of which null stays as it was. */
      readonly call?: EncodedValue;
      readonly judgement?: Judgement;
    }
  | { readonly kind: 'snoozed'; readonly delayMs: number }
  | { readonly kind: 'ignored' }
  | {
      readonly kind: 'rejected';
      readonly reason: string;
      readonly requeue: boolean;
      readonly failure?: FailureRecord;
    }
  | { readonly kind: 'undecided'; readonly judgement: Judgement };
