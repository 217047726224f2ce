import type { TaskMessage } from '../message/task-message.js';
import type { TaskDefinition } from '../task/task-definition.js';

/** Milliseconds; undefined: none. */
export interface TimeLimit {
  readonly softMs: number | undefined;
  readonly hardMs: number | undefined;
}

/**
 * Time limits of runs: the call's own, then what this worker was told for the task, then the task's. A message of ours has the
 * task's limits in it as well, as Celery's have; those are no wish of the caller.
 */
export class TimeLimits {
  private readonly told = new Map<string, TimeLimit>();

  /** For runs of the task that start from now on, until this process ends. */
  change(task: string, limit: TimeLimit): void {
    this.told.set(task, limit);
  }

  of({ task, timeLimitMs, softTimeLimitMs }: TaskMessage, definition: TaskDefinition): TimeLimit {
    const own = { softMs: definition.softTimeLimitMs, hardMs: definition.timeLimitMs };
    const told = this.told.size === 0 ? undefined : this.told.get(task);
    if (told === undefined) return { softMs: softTimeLimitMs ?? own.softMs, hardMs: timeLimitMs ?? own.hardMs };
    const isGiven = softTimeLimitMs !== undefined || timeLimitMs !== undefined;
    const isTheTasks = softTimeLimitMs === own.softMs && timeLimitMs === own.hardMs;
    return isGiven && !isTheTasks ? { softMs: softTimeLimitMs, hardMs: timeLimitMs } : told;
  }
}
