import type { FailureRecord } from '../errors/errors.js';
import type { TaskBody, TaskEnvelope } from '../message/task-message.js';
import type { Outcome } from '../task/task-outcome.js';

/**
 * What a worker tells in its own process, synchronously. The names of the task events are Celery's. Listeners must be
 * quick and must not throw; one that throws is logged and kept.
 */
export type WorkerEvent =
  /** Nothing is done yet: no pool, no connection. */
  | { readonly type: 'worker-starting'; readonly worker: string }
  | { readonly type: 'worker-online'; readonly worker: string }
  | { readonly type: 'worker-heartbeat'; readonly worker: string }
  /** It takes no more tasks, and waits for those that run. */
  | { readonly type: 'worker-stopping'; readonly worker: string }
  | { readonly type: 'worker-offline'; readonly worker: string }
  /** It cannot run tasks any more, and stops by itself. */
  | { readonly type: 'worker-failed'; readonly worker: string; readonly error: Error }
  /** A message is here, and was opened. */
  | { readonly type: 'task-received'; readonly task: TaskFacts }
  | { readonly type: 'task-started'; readonly task: TaskFacts }
  | {
      readonly type: 'task-succeeded';
      readonly task: TaskFacts;
      readonly runtimeMs: number;
      /** What it returned; undefined when that stayed with the child that ran it, because nobody keeps it. */
      readonly value: unknown;
    }
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
  | {
      readonly type: 'task-rejected';
      readonly task: TaskFacts;
      readonly reason: string;
      readonly requeue: boolean;
      /** Of what was refused before it ran, and is recorded as failed: its code says why. Undefined: its handler rejected it. */
      readonly failure?: FailureRecord;
    }
  | { readonly type: 'task-revoked'; readonly task: TaskFacts; readonly reason: 'revoked' | 'expired' | 'terminated' }
  /** After each run, however it ended, and after the event that says how. */
  | {
      readonly type: 'task-ended';
      readonly task: TaskFacts;
      readonly runtimeMs: number;
      readonly outcome: Outcome['kind'];
    }
  | { readonly type: 'task-stuck'; readonly task: TaskFacts; readonly limitMs: number }
  | { readonly type: 'task-interrupted'; readonly task: TaskFacts }
  | { readonly type: 'task-lost'; readonly task: TaskFacts }
  /** The thread or process that ran it has ended. `losses` counts this one; at the limit it is put to the dead letters. */
  | { readonly type: 'task-crashed'; readonly task: TaskFacts; readonly reason: string; readonly losses: number };

/** Which run an event is about. */
export interface TaskFacts {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly run: number;
  readonly attempt: number;
  /** Its message; of what was refused only the headers, and nothing where not even these could be read. */
  readonly message?: TaskEnvelope & Partial<TaskBody>;
}

/** The value of a child is decoded when a listener looks at it: most do not. */
export function taskSucceeded(task: TaskFacts, runtimeMs: number, outcome: { readonly value: unknown }): WorkerEvent {
  return {
    type: 'task-succeeded',
    task,
    runtimeMs,
    get value() {
      return outcome.value;
    },
  };
}

/** Id and name of a task whose message could not be read. */
export const UNREADABLE = '(unreadable)';

/** Hears what a worker tells. Must be quick, and must not throw. */
export type WorkerListener = (event: WorkerEvent) => void;

/** Where the parts of a worker tell what happens. */
export interface WorkerEvents {
  /** False when nobody listens; then an event need not be made. */
  readonly heard: boolean;
  /** False when nobody but the log listens; then those need not be made that it passes over. */
  readonly heardInFull: boolean;
  emit(event: WorkerEvent): void;
}
