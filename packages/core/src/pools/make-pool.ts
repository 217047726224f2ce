import { availableParallelism } from 'node:os';
import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { parseAutoscale } from '../config/autoscale.js';
import { parseByteSize } from '../config/byte-size.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { ConfigurationError } from '../errors/errors.js';
import { serializerFrom, serializersFrom } from '../message/wire-format.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { Tracing } from '../ports/tracing.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { ChildProgram } from './child.js';
import { childEnvironment } from './child-environment.js';
import { ChildPool } from './child-pool.js';
import { InlinePool } from './inline-pool.js';
import { processSpawner } from './process-child.js';
import { TaskRunner } from './task-runner.js';
import { threadSpawner } from './thread-child.js';

/** What a pool is made of. */
export interface PoolInit {
  readonly settings: TaskQueueSettings;
  readonly registry: TaskRegistry;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tracing?: Tracing | undefined;
  /** The program that children are started from; undefined where this program is none that can be. */
  readonly children: ChildProgram | undefined;
  readonly onBroken: (error: Error) => void;
}

/** In the async pool, where a setting gives no other number. */
const DEFAULT_CONCURRENCY = 10;

/** The pool that the settings name. Throws a ConfigurationError for one that needs children where there can be none. */
export function makePool(init: PoolInit): ExecutionPool {
  const { settings, registry, logger, clock, tracing } = init;
  const { pool, concurrency } = settings.worker;
  const least = parseAutoscale(settings.worker.autoscale)?.min;
  if (pool === 'threads' || pool === 'prefork') return childPool(pool, init);
  const runner = new TaskRunner({ registry, logger, clock, tracing, serializer: serializerFrom(settings) });
  return new InlinePool(runner, { size: pool === 'solo' ? 1 : (concurrency ?? least ?? DEFAULT_CONCURRENCY) });
}

function childPool(pool: 'threads' | 'prefork', init: PoolInit): ExecutionPool {
  const { settings, logger, clock, children: program, onBroken } = init;
  const { concurrency, maxTasksPerChild, maxMemoryPerChild, childEnvironment: more } = settings.worker;
  if (program === undefined) throw noProgram(pool);
  const env = childEnvironment(process.env, more);
  return new ChildPool({
    kind: pool === 'threads' ? 'thread' : 'process',
    size: concurrency ?? parseAutoscale(settings.worker.autoscale)?.min ?? availableParallelism(),
    spawn: pool === 'threads' ? threadSpawner({ program, env }) : processSpawner({ program, env, clock }),
    maxTasks: maxTasksPerChild,
    maxBytes: parseByteSize(maxMemoryPerChild),
    serializers: serializersFrom(settings),
    logger,
    clock,
    onBroken,
  });
}

function noProgram(pool: string): ConfigurationError {
  return new ConfigurationError([
    {
      path: 'worker.pool',
      expected: 'async or solo, in a worker inside an application',
      value: pool,
      remedy: 'Children start the program of the worker again; give it one of its own with runWorker.',
    },
  ]);
}
