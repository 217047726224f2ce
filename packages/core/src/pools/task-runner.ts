import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Serializer } from '../message/serializer.js';
import type { Execution, ExecutionControl } from '../ports/execution-pool.js';
import type { Tracing } from '../ports/tracing.js';
import { bindArguments } from '../task/bind-arguments.js';
import { RunContext } from '../task/run-context.js';
import type { Outcome } from '../task/task-outcome.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { isTaskSignal } from '../task/task-signals.js';
import { toMilliseconds } from '../config/duration.js';
import { isTaskQueueError } from '../errors/errors.js';

export interface TaskRunnerOptions {
  readonly registry: TaskRegistry;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Encodes reported progress. */
  readonly serializer: Serializer;
  readonly tracing?: Tracing | undefined;
}

/**
 * The inside of a pool: finds the handler, puts the arguments in their places, runs it and says how it ended. The same
 * on this thread, in a thread and in a child process. `run` never rejects, and calls `onEnd`, which must not throw, right before
 * it resolves.
 */
export class TaskRunner {
  constructor(private readonly options: TaskRunnerOptions) {}

  run(execution: Execution, control: ExecutionControl, onEnd?: () => void): Promise<Outcome> {
    const { tracing } = this.options;
    if (tracing === undefined) return this.attempt(execution, control, onEnd);
    return tracing.running(execution, control, () => this.attempt(execution, control, onEnd));
  }

  private async attempt(execution: Execution, control: ExecutionControl, onEnd?: () => void): Promise<Outcome> {
    let context: RunContext | undefined;
    try {
      const task = this.options.registry.get(execution.message.task);
      const args = bindArguments(task.definition, execution.message);
      const checked = args instanceof Promise ? await args : args;
      context = new RunContext(this.options, execution, control, task.definition);
      const value: unknown = await task.handler({ args: checked, context });
      return { kind: 'succeeded', value };
    } catch (error) {
      return outcomeOf(error, control.signal);
    } finally {
      context?.close();
      onEnd?.();
    }
  }
}

/** What a thrown value means. */
function outcomeOf(error: unknown, signal: AbortSignal): Outcome {
  try {
    if (isTaskSignal(error)) {
      switch (error.kind) {
        case 'retry':
          return { kind: 'retry', options: error.options };
        case 'snooze':
          return { kind: 'snoozed', delayMs: toMilliseconds(error.delay, 'snooze.delay') };
        case 'ignore':
          return { kind: 'ignored' };
        case 'reject':
          return { kind: 'rejected', reason: error.reason, requeue: error.requeue, error: error.cause };
      }
    }
    if (isTaskQueueError(error, 'TASK_ARGUMENTS_INVALID')) {
      return { kind: 'rejected', reason: error.message, requeue: false, error };
    }
    // A handler that gives up because it was told to has ended for that reason, whatever it throws.
    return { kind: 'failed', error: signal.aborted ? signal.reason : error };
  } catch {
    return { kind: 'failed', error };
  }
}
