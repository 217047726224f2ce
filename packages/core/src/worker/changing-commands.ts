import { parseAutoscale } from '../config/autoscale.js';
import { QUEUE_NAME } from '../config/queue-name.js';
import type { CommandHandler } from '../control/remote-control.js';
import { saysTerminate } from '../control/revoke-command.js';
import { stampRevocationIds } from '../control/stamp-revocation.js';
import { showValue, UsageError } from '../errors/errors.js';
import { didYouMean } from '../errors/nearest-word.js';
import { pythonRepr } from '../message/python-repr.js';
import { MAX_LIMIT_SECONDS } from '../message/wire-fields.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { QueueInspector } from '../ports/queue-inspector.js';
import type { Stores } from '../ports/stores.js';
import { parseRateLimit, RATE_EXPECTED } from '../task/rate-limit.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { WorkerServices } from './worker-services.js';

/** What these commands change. */
export interface ChangeableWorker {
  readonly pool: ExecutionPool;
  readonly stores: Stores;
  readonly registry: TaskRegistry;
  readonly parts: Pick<WorkerServices, 'queues' | 'fetcher' | 'rates' | 'limits' | 'autoscaler'>;
}

/**
 * Celery's commands that change a running worker, with Celery's arguments and answers; `pause` and `resume` are ours. What they
 * change lasts until the process ends, but for `pause`, `resume` and `revoke_by_stamped_headers`, which are stored.
 */
export function changingCommands(worker: ChangeableWorker): Record<string, CommandHandler> {
  return { ...queueCommands(worker), ...taskCommands(worker), ...poolCommands(worker) };
}

function queueCommands(worker: ChangeableWorker): Record<string, CommandHandler> {
  const { parts } = worker;
  return {
    add_consumer: async (given) => {
      const queue = ownQueue(given);
      await worker.stores.broker.declare([{ name: queue }]);
      if (!parts.queues.add(queue)) return { ok: `already consuming from ${queue}` };
      await parts.fetcher.turnTo(parts.queues.names);
      return { ok: `add consumer ${queue}` };
    },
    cancel_consumer: async ({ queue }) => {
      if (parts.queues.cancel(queueName(queue))) await parts.fetcher.turnTo(parts.queues.names);
      return { ok: `no longer consuming from ${queueName(queue)}` };
    },
    pause: async ({ queue }) => {
      await inspectorOf(worker).pause(queueName(queue));
      return { ok: `queue ${queueName(queue)} paused` };
    },
    resume: async ({ queue }) => {
      await inspectorOf(worker).resume(queueName(queue));
      return { ok: `queue ${queueName(queue)} resumed` };
    },
  };
}

function taskCommands(worker: ChangeableWorker): Record<string, CommandHandler> {
  const { parts } = worker;
  return {
    rate_limit: ({ task_name: task, rate_limit: limit }) => {
      const name = knownTask(worker, task);
      const isOff = isNothing(limit);
      const rate = isOff ? undefined : parseRateLimit(limit);
      if (!isOff && rate === undefined) throw invalid('rate_limit', limit, RATE_EXPECTED);
      // How it is kept is the task's affair; how often it may start is what is said.
      const scope = parts.rates.of(name)?.scope ?? worker.registry.get(name).definition.rateLimit?.scope ?? 'worker';
      parts.rates.change(name, rate === undefined ? undefined : { ...rate, scope });
      return { ok: isOff ? 'rate limit disabled successfully' : 'new rate limit set successfully' };
    },
    time_limit: ({ task_name: task, soft, hard }) => {
      const name = knownTask(worker, task);
      const [softMs, hardMs] = [limitMs('soft', soft), limitMs('hard', hard)];
      if (softMs !== undefined && hardMs !== undefined && softMs > hardMs) {
        throw invalid('soft', soft, 'no more than hard');
      }
      parts.limits.change(name, { softMs, hardMs });
      return { ok: 'time limits set successfully' };
    },
    // Obeyed where revocations are kept; here it is only answered.
    revoke_by_stamped_headers: ({ headers, ...given }) => {
      if (stampRevocationIds(headers) === undefined) {
        throw invalid('headers', headers, "{ stamp: value or [values] }, or ['stamp=value']");
      }
      const so = `flagged as revoked, ${saysTerminate(given) ? 'and' : 'but not'} terminated`;
      return { ok: `headers ${pythonRepr(headers)} ${so}` };
    },
  };
}

function poolCommands(worker: ChangeableWorker): Record<string, CommandHandler> {
  const { parts, pool } = worker;
  return {
    autoscale: ({ max, min }) => {
      const { autoscaler } = parts;
      if (autoscaler === undefined) throw refused('Autoscale not enabled: the setting worker.autoscale is not given.');
      const range = { max: max ?? autoscaler.range.max, min: min ?? autoscaler.range.min };
      const parsed = parseAutoscale(range);
      if (parsed === undefined) throw invalid('max, min', range, 'whole numbers from 1 to 10000, min not above max');
      autoscaler.change(parsed);
      return { ok: `autoscale now max=${parsed.max} min=${parsed.min}` };
    },
    pool_grow: ({ n }) => resized(worker, count(n)),
    pool_shrink: ({ n }) => resized(worker, -count(n)),
    pool_restart: ({ modules, reload }) => {
      if (Boolean(reload) || (Array.isArray(modules) && modules.length > 0)) {
        throw refused('Modules are not reloaded one by one: each child boots the whole program anew.');
      }
      if (pool.restart === undefined) throw refused('This pool has no children; restart the process.');
      pool.restart();
      return { ok: 'reload started' };
    },
  };
}

/** A queue here has the exchange of its own name, and no other way leads into it. */
function ownQueue(given: Readonly<Record<string, unknown>>): string {
  const queue = queueName(given['queue']);
  const isOwn = (value: unknown): boolean => value === undefined || value === null || value === '' || value === queue;
  for (const field of ['exchange', 'routing_key']) {
    if (!isOwn(given[field])) throw invalid(field, given[field], 'none, or the name of the queue');
  }
  const kind = given['exchange_type'] ?? 'direct';
  if (kind !== 'direct') throw invalid('exchange_type', kind, '"direct"');
  return queue;
}

function queueName(queue: unknown): string {
  if (typeof queue === 'string' && QUEUE_NAME.test(queue)) return queue;
  throw invalid('queue', queue, 'a queue name: 1 to 128 letters, digits and "_.:-"');
}

function knownTask({ registry }: ChangeableWorker, task: unknown): string {
  if (typeof task === 'string' && registry.find(task) !== undefined) return task;
  const meant = typeof task === 'string' ? didYouMean(task, registry.names()) : undefined;
  throw new UsageError({
    code: 'COMMAND_INVALID',
    // Celery's words.
    message: meant === undefined ? 'unknown task' : `unknown task: ${meant}`,
    fields: { field: 'task_name', value: task },
  });
}

/** How Celery says that there is no rate. */
function isNothing(limit: unknown): boolean {
  return limit === undefined || limit === null || limit === 0 || limit === '' || limit === '0';
}

/** Seconds, as Celery gives them. */
function limitMs(field: string, seconds: unknown): number | undefined {
  if (seconds === undefined || seconds === null || seconds === 0) return undefined;
  if (typeof seconds === 'number' && seconds > 0 && seconds <= MAX_LIMIT_SECONDS) return seconds * 1_000;
  throw invalid(field, seconds, `seconds, more than 0 and at most ${MAX_LIMIT_SECONDS}`);
}

/** Where the pool scales itself, its range has to hold the new size. */
function resized({ pool, parts: { autoscaler } }: ChangeableWorker, by: number): unknown {
  const size = pool.size + by;
  if (size < 1) throw refused(`The pool has ${pool.size} slot(s).`);
  if (autoscaler !== undefined) {
    const { max, min } = autoscaler.range;
    autoscaler.change({ max: Math.max(max, size), min: Math.min(min, size) });
  }
  pool.resize(size);
  return { ok: by > 0 ? 'pool will grow' : 'pool will shrink' };
}

function count(n: unknown): number {
  const value = n ?? 1;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 10_000) return value;
  throw invalid('n', value, 'a whole number from 1 to 10000');
}

function inspectorOf({ stores }: ChangeableWorker): QueueInspector {
  if (stores.inspector !== undefined) return stores.inspector;
  throw new UsageError({ code: 'CAPABILITY_UNSUPPORTED', message: 'The driver of the broker cannot pause queues.' });
}

function refused(message: string): UsageError {
  return new UsageError({ code: 'COMMAND_INVALID', message });
}

function invalid(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'COMMAND_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    fields: { field, value, expected },
  });
}
