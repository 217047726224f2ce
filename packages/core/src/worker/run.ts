import type { Clock } from '../ambient/clock.js';
import type { Deferred } from '../async/deferred.js';
import { deferred } from '../async/deferred.js';
import { pythonRepr } from '../message/python-repr.js';
import type { TaskMessage } from '../message/task-message.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionControl } from '../ports/execution-pool.js';
import type { EncodedValue } from '../ports/result-backend.js';
import type { RegisteredTask } from '../task/task-registry.js';
import { MAX_COUNT } from '../message/wire-fields.js';
import { lossesOf } from './refusal.js';
import type { TaskFacts } from './worker-events.js';

export interface RunInit {
  readonly delivery: Delivery;
  readonly task: RegisteredTask;
  readonly message: TaskMessage;
  readonly clock: Clock;
  readonly record: (run: Run, progress: EncodedValue) => Promise<void>;
  /** Whether a record of it may be kept: then the arguments are shown as they are before the handler has them. */
  readonly isRecorded: boolean;
}

/**
 * One delivery on its way through the pipeline, and what its handler may ask of the worker. A run pays for a signal or a
 * promise of its end only when someone asks for it: most tasks never do.
 */
export class Run implements ExecutionControl {
  readonly delivery: Delivery;
  readonly task: RegisteredTask;
  readonly message: TaskMessage;
  readonly attempt: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** The arguments as text, where a record of the run may be kept. */
  readonly argsRepr: string | undefined;
  readonly kwargsRepr: string | undefined;
  private readonly record: RunInit['record'];
  /** Context of its attempt, where that is traced. */
  trace: string | undefined;
  private controller: AbortController | undefined;
  private end: Deferred<void> | undefined;

  constructor(init: RunInit) {
    this.delivery = init.delivery;
    this.task = init.task;
    this.message = init.message;
    this.record = init.record;
    this.attempt = Math.min(MAX_COUNT, init.message.retries + lossesOf(init.delivery, init.message) + 1);
    this.startedAt = init.clock.now();
    const { args, kwargs, argsRepr, kwargsRepr } = init.message;
    this.argsRepr = argsRepr ?? (init.isRecorded ? pythonRepr(args, { tuple: true }) : undefined);
    this.kwargsRepr = kwargsRepr ?? (init.isRecorded ? pythonRepr(kwargs) : undefined);
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return this.controller.signal;
  }

  /** Tells the handler to stop; the first reason stays. */
  abort(reason: Error): void {
    this.controller ??= new AbortController();
    this.controller.abort(reason);
  }

  progress(value: EncodedValue): Promise<void> {
    return this.record(this, value);
  }

  traced(context: string): void {
    this.trace = context;
  }

  /** Resolves when the handler has ended, however late. */
  get ended(): Promise<void> {
    this.end ??= deferred();
    return this.end.promise;
  }

  finish(): void {
    this.end?.resolve();
  }

  /** What events and logs say of it. */
  get facts(): TaskFacts {
    const { message, delivery, attempt } = this;
    return { id: message.id, name: message.task, queue: delivery.queue, run: delivery.run, attempt, message };
  }
}
