import type { TaskMessage } from '../message/task-message.js';
import type { TaskDefinition } from '../task/task-definition.js';

/** Milliseconds; undefined: none. */
export interface TimeLimit {
  readonly softMs: number | undefined;
  readonly hardMs: number | undefined;
}

/** Time limits of runs: the message's, then what this worker was told for the task, then the task's own. */
export class TimeLimits {
  private readonly told = new Map<string, TimeLimit>();

  /** For runs of the task that start from now on, until this process ends. */
  change(task: string, limit: TimeLimit): void {
    this.told.set(task, limit);
  }

  of({ task, timeLimitMs, softTimeLimitMs }: TaskMessage, definition: TaskDefinition): TimeLimit {
    const told = this.told.size === 0 ? undefined : this.told.get(task);
    const own = told ?? { softMs: definition.softTimeLimitMs, hardMs: definition.timeLimitMs };
    return { softMs: softTimeLimitMs ?? own.softMs, hardMs: timeLimitMs ?? own.hardMs };
  }
}
