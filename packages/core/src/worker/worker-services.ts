import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { MessageBuilder } from '../client/message-builder.js';
import { messageBuilder } from '../client/message-builder.js';
import type { PublishEvents } from '../events/publish-events.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { decodeOptionsFrom, serializerFrom, serializersFrom } from '../message/wire-format.js';
import type { Consumer } from '../ports/broker.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { Stores } from '../ports/stores.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { Chords } from './chords.js';
import { EndedBefore } from './ended-before.js';
import { Executor } from './executor.js';
import { Fetcher } from './fetcher.js';
import { LeaseKeeper } from './lease-keeper.js';
import { Lookahead } from './lookahead.js';
import { OutcomePolicy } from './outcome-policy.js';
import { Recoverer } from './recoverer.js';
import type { RevocationCommands } from './revocation-list.js';
import { RevocationList } from './revocation-list.js';
import { Settler } from './settler.js';
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
}

export interface WorkerServicesInit {
  readonly name: string;
  readonly stores: Stores;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly consumer: Consumer;
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
  const { consumer, stores, leaseMs, clock, logger, random } = init;
  const { broker, results } = stores;
  const builder = messageBuilder({ settings: init.settings, clock, origin: init.name, broker, events: init.published });
  const chords = makeChords(init, builder);
  const atomic = stores.atomicCompletion;
  const settler = new Settler({ consumer, broker, results, chords, atomic, clock, logger, leaseMs });
  const leases = new LeaseKeeper({ consumer, leaseMs, clock, logger, onLost: init.onLost });
  const revocations = new RevocationList({
    store: stores.revocations,
    commands: revocationCommands(init),
    clock,
    logger,
    onRevoked: (revocation) => (revocation.terminate ? init.onRevoked(revocation.taskId) : undefined),
  });
  const lookahead = new Lookahead();
  const executor = makeExecutor(init, {
    builder,
    settler,
    leases,
    revocations,
    lookahead,
    onRefused: () => fetcher.refill(),
    onSettled: () => fetcher.settled(),
  });
  const fetcher: Fetcher = new Fetcher({
    consumer,
    pool: init.pool,
    leases,
    lookahead,
    clock,
    logger,
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
  return { consumer, settler, leases, revocations, executor, fetcher, recoverer };
}

function revocationCommands({ stores, name, settings }: WorkerServicesInit): RevocationCommands | undefined {
  const { pubsub, revokedWaiting: waiting } = stores;
  if (pubsub === undefined || settings.worker.control !== 'all') return undefined;
  const resultExpiresMs = toMilliseconds(settings.resultExpires, 'resultExpires');
  return { pubsub, worker: name, waiting, resultExpiresMs };
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
  parts: Pick<WorkerServices, 'settler' | 'leases' | 'revocations'> & {
    readonly builder: MessageBuilder;
    readonly lookahead: Lookahead;
    readonly onRefused: () => void;
    readonly onSettled: () => void;
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
    decoding: decodeOptionsFrom(settings),
    clock,
    logger,
    maxLost: settings.worker.maxLost,
    trackStarted: settings.worker.trackStarted,
    events,
    published: init.published,
    onAcknowledged: (delivery) => parts.leases.forget(delivery),
    onRefused: parts.onRefused,
    onSettled: (delivery) => {
      parts.leases.forget(delivery);
      parts.onSettled();
      init.onSettled();
    },
  });
}
