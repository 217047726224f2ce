import type { TaskQueueSettings } from '../config/settings.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { Stores } from '../ports/stores.js';
import type { RegisteredTask, TaskRegistry } from '../task/task-registry.js';

export interface CautionsInit {
  readonly pool: ExecutionPool;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly stores: Stores;
}

/** What tasks ask for and this worker cannot do. Better said when it starts than found out when a task hangs. */
export function cautions({ pool, registry, settings, stores }: CautionsInit): readonly string[] {
  const tasks = registry.all();
  const limited = pool.preemptible ? [] : tasks.filter(({ definition }) => definition.timeLimitMs !== undefined);
  const shared =
    stores.locks === undefined ? tasks.filter(({ definition }) => definition.rateLimit?.scope === 'cluster') : [];
  return [
    ...(shared.length === 0
      ? []
      : [
          `No driver has locks: each worker keeps the rate of the cluster for itself (${names(shared)}). Keep results in a store that has, e.g. Redis or PostgreSQL.`,
        ]),
    ...(limited.length === 0
      ? []
      : [
          `The ${settings.worker.pool} pool cannot kill a handler: at its timeLimit a task is recorded as timed out, and its handler goes on unheard (${names(limited)}). The pools threads and prefork can.`,
        ]),
  ];
}

function names(tasks: readonly RegisteredTask[]): string {
  const first = tasks.slice(0, 3).map(({ definition }) => definition.name);
  return tasks.length > first.length ? `${first.join(', ')}, …` : first.join(', ');
}
