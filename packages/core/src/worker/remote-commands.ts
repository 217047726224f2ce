import { hostname, platform, release } from 'node:os';
import type { Clock } from '../ambient/clock.js';
import type { CommandHandler } from '../control/remote-control.js';
import { openEnvelope } from '../message/celery-protocol.js';
import type { LogicalClock } from '../message/logical-clock.js';
import type { DecodeOptions } from '../message/celery-protocol.js';
import { pythonRepr } from '../message/python-repr.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { UsageError } from '../errors/errors.js';
import type { Delivery } from '../ports/delivery.js';
import type { ChangeableWorker } from './changing-commands.js';
import { changingCommands } from './changing-commands.js';
import type { Presence } from './presence.js';
import { registeredTasks } from './registered-tasks.js';
import type { Run } from './run.js';

/** What commands look at and change. */
export interface CommandedWorker extends ChangeableWorker {
  readonly name: string;
  readonly settings: TaskQueueSettings;
  readonly clock: Clock;
  readonly decoding: DecodeOptions;
  readonly active: () => readonly Run[];
  /** Leased, and not started yet. */
  readonly reserved: () => readonly Delivery[];
  readonly revoked: () => readonly string[];
  /** Task name → started so far. */
  readonly started: () => ReadonlyMap<string, number>;
  readonly shutdown: () => void;
  readonly logicalClock: LogicalClock;
  /** Undefined where the store carries no events. */
  readonly presence: Presence | undefined;
}

/** Which commands a worker obeys: all, those that only ask, or none. */
export type RemoteControlScope = 'all' | 'inspect' | 'none';

/**
 * Celery's commands, by name, with the answers that `celery inspect`, `celery control` and Flower read. Commands that
 * ask for what a worker here does not have are unknown, and answered so. What waits for its time waits in the broker, so `scheduled` is always empty.
 */
export function remoteCommands(
  worker: CommandedWorker,
  scope: RemoteControlScope,
): ReadonlyMap<string, CommandHandler> {
  const startedAt = worker.clock.monotonic();
  const asking: Record<string, CommandHandler> = {
    ping: () => ({ ok: 'pong' }),
    active: () => worker.active().map((run) => activeTask(run, worker)),
    reserved: () => worker.reserved().flatMap((delivery) => reservedTask(delivery, worker)),
    scheduled: () => [],
    revoked: () => worker.revoked(),
    registered: ({ taskinfoitems }) => registeredTasks(worker.registry, worker.parts.rates, taskinfoitems),
    active_queues: () => worker.parts.queues.names.map(activeQueue),
    query_task: ({ ids }) => queryTasks([ids].flat(), worker),
    stats: () => stats(worker, Math.floor((worker.clock.monotonic() - startedAt) / 1_000)),
    conf: () => shownSettings(worker.settings),
    report: () => ({ ok: report(worker) }),
    clock: () => ({ clock: worker.logicalClock.forward() }),
    hello: () => ({ revoked: {}, clock: worker.logicalClock.forward() }),
    heartbeat: () => {
      worker.presence?.heartbeat();
      // An answer, as Celery's workers give it: its command line takes silence for a failure.
      return null;
    },
  };
  const changing: Record<string, CommandHandler> = {
    ...changingCommands(worker),
    // Obeyed where revocations are kept; here it is only answered.
    revoke: ({ task_id: ids }) => ({ ok: `tasks ${[ids].flat().join(', ')} flagged as revoked` }),
    terminate: ({ task_id: ids }) => ({ ok: `terminate: tasks ${[ids].flat().join(', ')}` }),
    enable_events: () => ({ ok: `task events ${worker.presence?.enable() === true ? '' : 'already '}enabled` }),
    disable_events: () => ({ ok: `task events ${worker.presence?.disable() === true ? '' : 'already '}disabled` }),
    shutdown: () => worker.shutdown(),
  };
  if (scope === 'none') return new Map();
  const entries = Object.entries(asking);
  if (scope === 'inspect') {
    const refused = Object.keys(changing).map((name): [string, CommandHandler] => [name, () => turnedOff(name)]);
    return new Map([...entries, ...refused]);
  }
  return new Map([...entries, ...Object.entries(changing)]);
}

/** Commands that change nothing, and need no signature. */
const ASKING: ReadonlySet<string> = new Set(
  'ping active reserved scheduled revoked registered active_queues query_task stats conf report clock hello heartbeat'.split(
    ' ',
  ),
);

/** Whether a worker with a secret obeys the command only when it is signed. */
export function needsSignature(method: string): boolean {
  return !ASKING.has(method);
}

function activeTask({ message, delivery, startedAt }: Run, { name, pool }: CommandedWorker) {
  const [pid] = [...(pool.processes?.() ?? [])].find(([, execution]) => execution?.message.id === message.id) ?? [];
  return {
    id: message.id,
    name: message.task,
    args: message.argsRepr ?? pythonRepr(message.args, { tuple: true }),
    kwargs: message.kwargsRepr ?? pythonRepr(message.kwargs),
    type: message.task,
    hostname: name,
    time_start: startedAt / 1_000,
    acknowledged: false,
    delivery_info: deliveryInfo(delivery, message.priority),
    worker_pid: pid ?? process.pid,
  };
}

/** Nothing for what cannot be read: it will be refused when its turn comes. Arguments are not read before that. */
function reservedTask(delivery: Delivery, { name, decoding }: CommandedWorker) {
  try {
    const { id, task, argsRepr = '()', kwargsRepr = '{}', priority } = openEnvelope(delivery.message, decoding);
    return [
      {
        id,
        name: task,
        args: argsRepr,
        kwargs: kwargsRepr,
        type: task,
        hostname: name,
        time_start: null,
        acknowledged: false,
        delivery_info: deliveryInfo(delivery, priority),
        worker_pid: null,
      },
    ];
  } catch {
    return [];
  }
}

function deliveryInfo({ queue, redelivered }: Delivery, priority: number | undefined) {
  return { exchange: '', routing_key: queue, priority: priority ?? 0, redelivered };
}

/** With all the fields that Celery has: Flower's page of a worker fails without one of them. */
function activeQueue(name: string) {
  const exchange = { name, type: 'direct', durable: true, delivery_mode: 2, auto_delete: false };
  return {
    name,
    exchange,
    routing_key: name,
    queue_arguments: null,
    binding_arguments: null,
    consumer_arguments: null,
    durable: true,
    exclusive: false,
    auto_delete: false,
    no_ack: false,
    alias: null,
    bindings: [],
    no_declare: null,
    expires: null,
    message_ttl: null,
    max_length: null,
    max_length_bytes: null,
    max_priority: null,
  };
}

function queryTasks(ids: readonly unknown[], worker: CommandedWorker) {
  const active = worker.active().map((run) => ['active', activeTask(run, worker)] as const);
  const reserved = worker.reserved().flatMap((delivery) => reservedTask(delivery, worker));
  const all = [...active, ...reserved.map((task) => ['reserved', task] as const)];
  return Object.fromEntries(all.filter(([, { id }]) => ids.includes(id)).map((entry) => [entry[1].id, entry]));
}

function stats(worker: CommandedWorker, uptime: number) {
  const { pool, stores, settings, parts, started, reserved, logicalClock } = worker;
  const { userCPUTime, systemCPUTime, maxRSS, minorPageFault, majorPageFault, ...rest } = process.resourceUsage();
  const [driver] = stores.drivers;
  const pids = [...(pool.processes?.().keys() ?? [])];
  return {
    total: Object.fromEntries(started()),
    pid: process.pid,
    clock: String(logicalClock.now),
    uptime,
    pool: {
      implementation: `taskqueue:${settings.worker.pool}`,
      'max-concurrency': pool.size,
      processes: pids.length === 0 ? [process.pid] : pids,
      'max-tasks-per-child': settings.worker.maxTasksPerChild ?? 'N/A',
      'put-guarded-by-semaphore': false,
      timeouts: [0, 0],
      writes: 'N/A',
    },
    ...(parts.autoscaler && { autoscaler: { ...parts.autoscaler.range, current: pool.size, qty: reserved().length } }),
    prefetch_count: pool.size + reserved().length,
    broker: { transport: driver?.name, hostname: driver?.describe() },
    rusage: {
      utime: userCPUTime / 1e6,
      stime: systemCPUTime / 1e6,
      maxrss: maxRSS,
      minflt: minorPageFault,
      majflt: majorPageFault,
      nvcsw: rest.voluntaryContextSwitches,
      nivcsw: rest.involuntaryContextSwitches,
    },
  };
}

/** URLs and passwords are the drivers'. */
function shownSettings({ serializers, worker, ...settings }: TaskQueueSettings) {
  const { controlSecret, ...shown } = worker;
  return {
    ...settings,
    worker: { ...shown, controlSecret: controlSecret === undefined ? undefined : '********' },
    serializers: ['json', ...(serializers ?? []).map((one) => one.name)],
  };
}

function report({ name, parts: { queues }, pool, stores, registry, settings }: CommandedWorker): string {
  return [
    `${name} on ${hostname()}, ${platform()} ${release()}, node ${process.version}`,
    `stores: ${stores.drivers.map((driver) => driver.describe()).join(', ')}`,
    `queues: ${queues.names.join(', ')}`,
    `pool: ${settings.worker.pool}, ${pool.size} at once`,
    `tasks: ${registry.names().join(', ')}`,
  ].join('\n');
}

function turnedOff(name: string): never {
  throw new UsageError({
    code: 'COMMAND_INVALID',
    message: `This worker does not obey "${name}".`,
    remedy: 'Its setting worker.control is "inspect".',
  });
}
