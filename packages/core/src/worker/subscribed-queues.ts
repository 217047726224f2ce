import type { TaskQueueSettings } from '../config/settings.js';
import type { TaskRegistry } from '../task/task-registry.js';

/** The default queue first, then every queue that a registered task names. */
export function defaultQueues(settings: TaskQueueSettings, registry: TaskRegistry): readonly string[] {
  const named = registry.all().map((task) => task.definition.queue ?? settings.defaultQueue);
  return [...new Set([settings.defaultQueue, ...named])];
}

/** Of the tasks that are acknowledged when they have ended; undefined when none has a limit. */
export function longestLimit(registry: TaskRegistry): number | undefined {
  const limits = registry.all().flatMap(({ definition }) => {
    return definition.ack === 'early' || definition.timeLimitMs === undefined ? [] : [definition.timeLimitMs];
  });
  return limits.length === 0 ? undefined : Math.max(...limits);
}
