import type { EncodedValue } from './result-backend.js';
import type { TaskMessage } from '../message/task-message.js';
import type { Outcome } from '../task/task-outcome.js';

/**
 * Runs one execution somewhere, with a known ability to kill it.
 *
 * ```text
 *   new ─start─► open ─abandon─► (nothing runs) ─close─► closed
 * ```
 */
export interface ExecutionPool {
  readonly kind: 'inline' | 'thread' | 'process';
  /** Can a run be killed without killing the worker? */
  readonly preemptible: boolean;
  /** Runs at once, at most. */
  readonly size: number;
  /** Slots free now. */
  readonly idle: number;
  /** Slots held by runs that passed their hard limit and still do not end (never in a preemptible pool). */
  readonly stuck: number;
  /** Resolves when there is a slot. Rejects when there will never be one, e.g. because the application does not boot there. */
  start(): Promise<void>;
  /** Never rejects because of the task. The signal's reason tells why it should stop. */
  run(execution: Execution, control: ExecutionControl): Promise<Outcome>;
  /**
   * Ends a run at its hard limit: kills it where the pool can, else writes its slot off and opens another one. The
   * promise of `run` settles as timed-out either way.
   */
  terminate(execution: Execution): void;
  resize(size: number): void;
  /** Replaces its children, each as soon as it runs nothing. Absent where there are none. */
  restart?(): void;
  /** Its processes by pid, and what each of them runs. Absent, or empty, where runs are in the worker's own process. */
  processes?(): ReadonlyMap<number, Execution | undefined>;
  /** Calls back when a slot becomes free. */
  onIdle(listener: () => void): () => void;
  /**
   * Ends what still runs, where the pool can: its promises settle as interrupted. Resolves when nothing of it runs any
   * more. Where the pool cannot, nothing happens.
   */
  abandon(): Promise<void>;
  /** Starts nothing more, and gives back all threads and processes. */
  close(): Promise<void>;
}

/** One run of one task, as plain data. */
export interface Execution {
  readonly message: TaskMessage;
  readonly queue: string;
  /** The delivery counter: fence and run number. */
  readonly run: number;
  readonly attempt: number;
  readonly worker: string;
  /** Epoch milliseconds. */
  readonly deadline: number | undefined;
  /** Someone will look at what it returns. */
  readonly wantsValue: boolean;
}

/** What a run may ask of the worker while it runs. */
export interface ExecutionControl {
  readonly signal: AbortSignal;
  progress(value: EncodedValue): Promise<void>;
  /** Its attempt is traced; the context of that, as a `traceparent`. */
  traced?(context: string): void;
}
