import type { Deferred } from '../async/deferred.js';
import type { TaskMessage } from '../message/task-message.js';
import type { Delivery } from '../ports/delivery.js';
import type { RegisteredTask } from '../task/task-registry.js';
import type { TaskFacts } from './worker-events.js';

/** One delivery on its way through the pipeline. */
export interface Run {
  readonly delivery: Delivery;
  readonly task: RegisteredTask;
  readonly message: TaskMessage;
  readonly attempt: number;
  readonly startedAt: number;
  readonly abort: AbortController;
  /** Resolves when the handler has ended, however late. */
  readonly ended: Deferred<void>;
}

/** What events and logs say of a run. */
export function facts(run: Run): TaskFacts {
  return {
    id: run.message.id,
    name: run.message.task,
    queue: run.delivery.queue,
    run: run.delivery.run,
    attempt: run.attempt,
  };
}
