import type { Logger } from '../ambient/logger.js';
import type { RetryOptions } from './task-signals.js';
import type { Duration } from '../config/duration.js';

declare const CONTEXT: unique symbol;

/** What a running task knows of itself. A parameter of this type does not show in the caller's signature. */
export interface TaskContext {
  readonly [CONTEXT]?: never;
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** 1 for the first attempt. Snoozes do not count, crashes do. */
  readonly attempt: number;
  /** Retries made so far, as Celery counts them: 0 for the first attempt. */
  readonly retries: number;
  /** `Infinity` when the policy has no limit. */
  readonly maxRetries: number;
  /** Stays the same over all attempts; give it to outside systems that deduplicate. */
  readonly idempotencyKey: string;
  /** Grows with every delivery of this task; give it to outside systems that fence stale writers. */
  readonly fence: number;
  readonly rootId: string;
  readonly parentId: string | undefined;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** The caller's own headers. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** Set when a schedule sent the task. */
  readonly periodicTaskName: string | undefined;
  readonly eta: Date | undefined;
  readonly expires: Date | undefined;
  /** `worker@host`. */
  readonly worker: string;
  /** The instant of the hard limit, or undefined. */
  readonly deadline: Date | undefined;
  /** Aborts on a time limit, revocation with terminate, loss of the lease, and at the end of a shutdown's grace. */
  readonly signal: AbortSignal;
  /** Writes with task name and id. */
  readonly logger: TaskLogger;
  /** Ends this attempt and asks for another one. Never returns. */
  retry(options?: RetryOptions): never;
  /** Ends this run and asks for another one after `delay` without using an attempt. Never returns. */
  snooze(delay: Duration, reason?: string): never;
  /** Records progress, any serialisable value; readable through the handle. Resolves when it is stored. */
  progress(value: unknown): Promise<void>;
  /**
   * Says that the run is alive and learns whether it still may go on: throws the signal's reason when it was aborted.
   * Also lets the event loop turn.
   */
  heartbeat(): Promise<void>;
}

/** Logger of one task run. */
export interface TaskLogger {
  error(message: string, error?: unknown): void;
  warn(message: string): void;
  log(message: string): void;
  debug(message: string): void;
  verbose(message: string): void;
}

/** What stands behind `TaskLogger`. */
export type TaskLoggerFactory = (logger: Logger, task: { readonly id: string; readonly name: string }) => TaskLogger;
