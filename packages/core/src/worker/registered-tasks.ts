import { pythonRepr } from '../message/python-repr.js';
import type { Rate } from '../task/rate-limit.js';
import { showRate } from '../task/rate-limit.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { RateLimiter } from './rate-limiter.js';

/**
 * The answer to `registered`, as Celery's workers have it: names, each with what is asked of it behind it, e.g.
 * `shop.add [rate_limit=10/m]`. Flower shows it so, and takes the name out of it.
 */
export function registeredTasks(
  registry: TaskRegistry,
  rates: Pick<RateLimiter, 'of'>,
  taskinfoitems: unknown,
): readonly string[] {
  const items = Array.isArray(taskinfoitems) && taskinfoitems.length > 0 ? taskinfoitems.map(String) : DEFAULT_ITEMS;
  return registry.all().map(({ definition }) => {
    const { name } = definition;
    const known = attributes(definition, rates.of(name));
    const shown = items.flatMap((item) => {
      const text = known.get(item);
      return text === undefined ? [] : [`${item}=${text}`];
    });
    return shown.length === 0 ? name : `${name} [${shown.join(' ')}]`;
  });
}

/** Of Celery's own (exchange, routing_key, rate_limit) the one that a task has here. */
const DEFAULT_ITEMS = ['rate_limit'];

/** Under Celery's names, as Python writes them; undefined: not set. */
function attributes(task: TaskDefinition, rate: Rate | undefined): ReadonlyMap<string, string | undefined> {
  return new Map([
    ['rate_limit', rate && showRate(rate)],
    ['queue', task.queue],
    ['priority', pythonRepr(task.priority)],
    ['max_retries', task.retry.max === Infinity ? undefined : pythonRepr(task.retry.max)],
    ['soft_time_limit', seconds(task.softTimeLimitMs)],
    ['time_limit', seconds(task.timeLimitMs)],
    ['acks_late', pythonRepr(task.ack === 'late')],
    ['ignore_result', pythonRepr(task.ignoreResult)],
  ]);
}

function seconds(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : pythonRepr(ms / 1_000);
}
