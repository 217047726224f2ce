import type { FailureRecord } from '../errors/errors.js';

/**
 * What a worker tells in its own process, synchronously. The names of the task events are Celery's. Listeners must be
 * quick and must not throw; one that throws is logged and kept.
 */
export type WorkerEvent =
  | { readonly type: 'worker-online'; readonly worker: string }
  | { readonly type: 'worker-offline'; readonly worker: string }
  /** It cannot run tasks any more, and stops by itself. */
  | { readonly type: 'worker-failed'; readonly worker: string; readonly error: Error }
  | { readonly type: 'task-started'; readonly task: TaskFacts }
  | { readonly type: 'task-succeeded'; readonly task: TaskFacts; readonly runtimeMs: number }
  | {
      readonly type: 'task-failed';
      readonly task: TaskFacts;
      readonly runtimeMs: number;
      readonly failure: FailureRecord;
      readonly expected: boolean;
    }
  | {
      readonly type: 'task-retried';
      readonly task: TaskFacts;
      readonly runtimeMs: number;
      readonly delayMs: number;
      readonly failure: FailureRecord | undefined;
    }
  | { readonly type: 'task-snoozed'; readonly task: TaskFacts; readonly delayMs: number }
  | { readonly type: 'task-ignored'; readonly task: TaskFacts }
  | { readonly type: 'task-rejected'; readonly task: TaskFacts; readonly reason: string; readonly requeue: boolean }
  | { readonly type: 'task-revoked'; readonly task: TaskFacts; readonly reason: 'revoked' | 'expired' | 'terminated' }
  | { readonly type: 'task-stuck'; readonly task: TaskFacts; readonly limitMs: number }
  | { readonly type: 'task-interrupted'; readonly task: TaskFacts }
  | { readonly type: 'task-lost'; readonly task: TaskFacts }
  /** The thread or process that ran it has ended. `losses` counts this one; at the limit it is put to the dead letters. */
  | { readonly type: 'task-crashed'; readonly task: TaskFacts; readonly reason: string; readonly losses: number };

export interface TaskFacts {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly run: number;
  readonly attempt: number;
}

export type WorkerListener = (event: WorkerEvent) => void;

/** Where the parts of a worker tell what happens. */
export interface WorkerEvents {
  /** False when nobody listens; then an event need not be made. */
  readonly heard: boolean;
  emit(event: WorkerEvent): void;
}
