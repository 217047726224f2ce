import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { MessageBuilder } from '../client/message-builder.js';
import { messageBuilder } from '../client/message-builder.js';
import type { PublishEvents } from '../events/publish-events.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { CommandVerifier } from '../control/command-signature.js';
import { decodeOptionsFrom, serializerFrom, serializersFrom } from '../message/wire-format.js';
import type { Consumer } from '../ports/broker.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { Stores } from '../ports/stores.js';
import type { RateLimit } from '../task/rate-limit.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { parseAutoscale } from '../config/autoscale.js';
import { Autoscaler } from './autoscaler.js';
import { Chords } from './chords.js';
import { ConsumedQueues } from './consumed-queues.js';
import { EndedBefore } from './ended-before.js';
import { Executor } from './executor.js';
import { Fetcher } from './fetcher.js';
import { LeaseKeeper } from './lease-keeper.js';
import { Lookahead } from './lookahead.js';
import { OutcomePolicy } from './outcome-policy.js';
import { RateLimiter } from './rate-limiter.js';
import { Recoverer } from './recoverer.js';
import type { RevocationCommands } from './revocation-list.js';
import { RevocationList } from './revocation-list.js';
import { Settler } from './settler.js';
import { TimeLimits } from './time-limits.js';
import type { WorkerEvents } from './worker-events.js';

/** The parts of a running worker, each with one job. */
export interface WorkerServices {
  readonly consumer: Consumer;
  readonly settler: Settler;
  readonly leases: LeaseKeeper;
  readonly revocations: RevocationList;
  readonly executor: Executor;
  readonly fetcher: Fetcher;
  readonly recoverer: Recoverer;
  readonly queues: ConsumedQueues;
  readonly rates: RateLimiter;
  readonly limits: TimeLimits;
  /** Absent where the pool keeps its size. */
  readonly autoscaler: Autoscaler | undefined;
}

export interface WorkerServicesInit {
  readonly name: string;
  readonly stores: Stores;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly consumer: Consumer;
  /** What it is subscribed to. */
  readonly queues: readonly string[];
  readonly pool: ExecutionPool;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly events: WorkerEvents;
  readonly published: PublishEvents | undefined;
  readonly onLost: (deliveries: readonly Delivery[]) => void;
  /** A task that may run here was revoked with terminate. */
  readonly onRevoked: (taskId: string) => void;
  readonly onSettled: () => void;
}

/** Makes them; starts nothing. */
export function composeServices(init: WorkerServicesInit): WorkerServices {
  const { consumer, stores, leaseMs, clock, logger, random, published } = init;
  const { broker, results } = stores;
  const builder = messageBuilder({ settings: init.settings, clock, origin: init.name, broker, events: published });
  const chords = makeChords(init, builder);
  const atomic = stores.atomicCompletion;
  const settler = new Settler({ consumer, broker, results, chords, atomic, clock, logger, leaseMs, published });
  const leases = new LeaseKeeper({ consumer, leaseMs, clock, logger, onLost: init.onLost });
  const revocations = makeRevocations(init);
  const lookahead = new Lookahead();
  const queues = consumedQueues(init);
  const limits = new TimeLimits();
  const rates: RateLimiter = new RateLimiter({
    clock,
    logger,
    locks: stores.locks,
    limits: registeredRates(init.registry),
    resume: (delivery) => fetcher.resumeParked(delivery),
    postpone: (delivery, delayMs) => executor.postpone(delivery, delayMs),
  });
  const executor: Executor = makeExecutor(init, {
    builder,
    settler,
    leases,
    revocations,
    lookahead,
    rates,
    limits,
    onRefused: () => fetcher.refill(),
    onSettled: (delivery) => fetcher.settled(delivery),
  });
  const fetcher: Fetcher = new Fetcher({
    consumer,
    pool: init.pool,
    leases,
    lookahead,
    queues,
    rates,
    clock,
    logger,
    reserved: () => executor.reserved,
    execute: (delivery) => executor.execute(delivery),
    leaseMs,
    release: async (delivery) => {
      leases.forget(delivery);
      await settler.settle({ kind: 'release', delivery });
    },
  });
  const recoverer = new Recoverer({
    broker,
    results,
    leaseMs,
    clock,
    logger,
    random,
    renew: () => leases.extend(),
  });
  const autoscaler = makeAutoscaler(init, { queues, executor, fetcher });
  return { consumer, settler, leases, revocations, executor, fetcher, recoverer, queues, rates, limits, autoscaler };
}

function makeAutoscaler(
  { settings, pool, stores: { inspector }, clock, logger }: WorkerServicesInit,
  { queues, executor, fetcher }: Pick<WorkerServices, 'queues' | 'executor' | 'fetcher'>,
): Autoscaler | undefined {
  const range = parseAutoscale(settings.worker.autoscale);
  if (range === undefined) return undefined;
  const takePeak = (): number => executor.takePeak();
  return new Autoscaler({ pool, range, queues, inspector, takePeak, buffered: () => fetcher.buffered, clock, logger });
}

function consumedQueues({ queues, settings }: WorkerServicesInit): ConsumedQueues {
  const { queueConcurrency: limits, queueOrder: order, queueWeights: weights } = settings.worker;
  return new ConsumedQueues({ queues, limits, order, weights });
}

function registeredRates(registry: TaskRegistry): ReadonlyMap<string, RateLimit> {
  const limited = registry.all().flatMap(({ definition: { name, rateLimit } }) => {
    return rateLimit === undefined ? [] : [[name, rateLimit] as const];
  });
  return new Map(limited);
}

function makeRevocations(init: WorkerServicesInit): RevocationList {
  return new RevocationList({
    store: init.stores.revocations,
    commands: revocationCommands(init),
    clock: init.clock,
    logger: init.logger,
    onRevoked: (revocation) => (revocation.terminate ? init.onRevoked(revocation.taskId) : undefined),
  });
}

function revocationCommands({ stores, name, settings, clock }: WorkerServicesInit): RevocationCommands | undefined {
  const { pubsub, revokedWaiting: waiting } = stores;
  if (pubsub === undefined || settings.worker.control !== 'all') return undefined;
  const resultExpiresMs = toMilliseconds(settings.resultExpires, 'resultExpires');
  const { controlSecret: secret } = settings.worker;
  const verifier = secret === undefined ? undefined : new CommandVerifier(secret, clock);
  return { pubsub, worker: name, waiting, resultExpiresMs, verifier };
}

function makeChords(init: WorkerServicesInit, builder: MessageBuilder): Chords | undefined {
  const { stores, registry, settings, clock } = init;
  if (stores.chords === undefined) return undefined;
  const resultExpiresMs = toMilliseconds(settings.resultExpires, 'resultExpires');
  const serializers = serializersFrom(settings);
  return new Chords({ store: stores.chords, builder, registry, serializers, clock, resultExpiresMs });
}

function makeExecutor(
  init: WorkerServicesInit,
  parts: Pick<WorkerServices, 'settler' | 'leases' | 'revocations' | 'rates' | 'limits'> & {
    readonly builder: MessageBuilder;
    readonly lookahead: Lookahead;
    readonly onRefused: () => void;
    readonly onSettled: (delivery: Delivery) => void;
  },
): Executor {
  const { name, registry, settings, stores, pool, clock, logger, random, events } = init;
  const serializer = serializerFrom(settings);
  const policy = new OutcomePolicy({
    worker: name,
    revocations: parts.revocations,
    maxLost: settings.worker.maxLost,
    builder: parts.builder,
    serializer,
    registry,
    clock,
    random,
    results: stores.results !== undefined,
    resultExpiresMs: toMilliseconds(settings.resultExpires, 'resultExpires'),
    events,
  });
  return new Executor({
    worker: name,
    registry,
    pool,
    settler: parts.settler,
    policy,
    results: stores.results,
    revocations: parts.revocations,
    endedBefore: new EndedBefore({ results: stores.results, atomic: stores.atomicCompletion, logger }),
    lookahead: parts.lookahead,
    rates: parts.rates,
    limits: parts.limits,
    decoding: decodeOptionsFrom(settings),
    clock,
    logger,
    maxLost: settings.worker.maxLost,
    trackStarted: settings.worker.trackStarted,
    events,
    onAcknowledged: (delivery) => parts.leases.forget(delivery),
    onRefused: parts.onRefused,
    onSettled: (delivery) => {
      parts.leases.forget(delivery);
      parts.onSettled(delivery);
      init.onSettled();
    },
  });
}
