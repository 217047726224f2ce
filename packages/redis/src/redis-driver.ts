import type {
  BarrierStore,
  Broker,
  ChordStore,
  Driver,
  DriverContext,
  KeepAlive,
  LockStore,
  Logger,
  PubSub,
  QueueInspector,
  ResultBackend,
  RevocationStore,
} from '@taskqueue/core';
import { silentLogger } from '@taskqueue/core';
import type { KeepAliveData } from './keep-alive.js';
import { PRIORITY_SCHEMES } from './kombu-priority.js';
import { RedisBarriers } from './redis-barriers.js';
import { RedisBroker } from './redis-broker.js';
import { RedisChords } from './redis-chords.js';
import { checkServers } from './redis-checks.js';
import { RedisClock } from './redis-clock.js';
import { RedisConnection } from './redis-connection.js';
import { RedisDelay } from './redis-delay.js';
import { RedisEpoch } from './redis-epoch.js';
import { RedisForeignWatch } from './redis-foreign-watch.js';
import { RedisInspector } from './redis-inspector.js';
import type { QueueKeys } from './redis-keys.js';
import { RedisKeys } from './redis-keys.js';
import { RedisLocks } from './redis-locks.js';
import type { RedisDriverOptions, ResolvedRedisOptions } from './redis-options.js';
import { describeLocation, resolveOptions } from './redis-options.js';
import { RedisPubSub } from './redis-pub-sub.js';
import { RedisPublisher } from './redis-publisher.js';
import { RedisQueues } from './redis-queues.js';
import { RedisResults } from './redis-results.js';
import { RedisRevocations } from './redis-revocations.js';
import { RedisSubscriber } from './redis-subscriber.js';

/**
 * Broker, results, revocations, inspector, locks, barriers and pub/sub on Redis 6.2 or newer, in Celery's layout. On one server, or behind
 * Sentinel, completing a task, keeping its result and sending what follows are one step. Throws ConfigurationError for
 * options that cannot be used.
 */
export function redisDriver(options: RedisDriverOptions): Driver {
  return new RedisDriver(resolveOptions(options));
}

/** The driver for a URL, as the configuration calls it. Throws ConfigurationError. */
export function createDriver(url: string): Driver {
  return redisDriver({ url });
}

class RedisDriver implements Driver {
  readonly name = 'redis';
  readonly contract = 1;
  readonly broker: Broker;
  readonly results: ResultBackend;
  readonly revocations: RevocationStore;
  readonly inspector: QueueInspector;
  readonly locks: LockStore;
  readonly barriers: BarrierStore;
  readonly chords?: ChordStore;
  readonly pubsub: PubSub;
  private readonly connection: RedisConnection;
  private readonly clock: RedisClock;
  private readonly redisPubSub: RedisPubSub;
  private readonly redisBroker: RedisBroker;
  private readonly delay: RedisDelay;
  private readonly subscriber: RedisSubscriber;
  private readonly foreignWatch: RedisForeignWatch;
  private readonly epoch: RedisEpoch;
  private connecting: Promise<void> | undefined;
  private logger: Logger = silentLogger;
  private keepAliveRefused = false;

  constructor(private readonly options: ResolvedRedisOptions) {
    const logger = (): Logger => this.logger;
    const connection = new RedisConnection(options, logger);
    const keys = new RedisKeys(options.keyPrefix, connection.isCluster, PRIORITY_SCHEMES[options.priorities]);
    const queues = new RedisQueues(connection, keys);
    const delay = new RedisDelay({ connection, logger });
    const subscriber = new RedisSubscriber(connection);
    const clock = new RedisClock(connection);
    const publisher = new RedisPublisher({ connection, keys, queues, delay, clock, bodies: options.bodies });
    const foreignWatch = new RedisForeignWatch({ connection, subscriber, logger });
    const keepAlive = (consumer: string, of: readonly QueueKeys[]): KeepAlive | undefined =>
      this.keepAlive(consumer, of);
    const parts = { connection, keys, queues, publisher, delay, foreignWatch, keepAlive };
    this.connection = connection;
    this.clock = clock;
    this.delay = delay;
    this.subscriber = subscriber;
    this.foreignWatch = foreignWatch;
    this.redisBroker = new RedisBroker({ ...parts, checkData: () => void this.epoch.check() });
    const consumed = (): readonly string[] => this.redisBroker.consumed();
    this.epoch = new RedisEpoch({ connection, keys, logger, consumed, onLoss: () => queues.forget() });
    this.broker = this.redisBroker;
    this.results = new RedisResults({ connection, keys, subscriber });
    this.revocations = new RedisRevocations({ connection, keys, queues });
    this.inspector = new RedisInspector({ connection, keys, queues });
    this.locks = new RedisLocks(connection, keys);
    this.barriers = new RedisBarriers(connection, keys);
    if (!connection.isCluster) this.chords = new RedisChords(connection, keys);
    this.redisPubSub = new RedisPubSub({ connection, keys, database: options.redis.db ?? 0, logger });
    this.pubsub = this.redisPubSub;
  }

  describe(): string {
    return describeLocation(this.options);
  }

  connect(context: DriverContext): Promise<void> {
    this.logger = context.logger;
    this.connecting ??= this.open(context).catch((error: unknown) => {
      this.connecting = undefined;
      this.connection.close();
      throw error;
    });
    return this.connecting;
  }

  async close(): Promise<void> {
    await this.connecting?.catch(() => undefined);
    if (this.connecting === undefined) return;
    this.connecting = undefined;
    await this.redisBroker.close();
    await this.redisPubSub.close();
    this.foreignWatch.close();
    this.subscriber.close();
    const quiet = this.delay.close();
    this.connection.close();
    await quiet;
  }

  async ping(): Promise<void> {
    await this.connection.command('ping');
  }

  private async open(context: DriverContext): Promise<void> {
    context.signal?.throwIfAborted();
    await this.connection.open();
    await checkServers({ connection: this.connection, eviction: this.options.eviction, logger: context.logger });
    await Promise.all([this.epoch.check(), this.clock.ask()]);
    this.connection.onReconnect(() => {
      void this.epoch.check();
      this.clock.ask().catch(() => undefined);
    });
  }

  /** Undefined where the options hold functions, which cannot be handed to a thread. */
  private keepAlive(consumer: string, queues: readonly QueueKeys[]): KeepAlive | undefined {
    const keys = queues.map((queue) => [queue.leased(consumer), queue.consumers, queue.wake]);
    const calls = this.connection.isCluster ? keys : [keys.flat()];
    try {
      const data: KeepAliveData = structuredClone({ options: this.options, consumer, calls });
      return { module: keepAliveModule(), data };
    } catch {
      if (!this.keepAliveRefused) {
        const message =
          'The options of ioredis hold functions: leases are renewed by the main thread only, and a handler that ' +
          'computes for longer than its lease loses it.';
        this.logger.warn(message, 'TaskQueue');
      }
      this.keepAliveRefused = true;
      return undefined;
    }
  }
}

/**
 * The keep-alive module as a thread can load it: threads cannot load TypeScript, so from the sources the built one is
 * meant.
 */
function keepAliveModule(): string {
  const url = new URL('./keep-alive.js', import.meta.url).href;
  return import.meta.url.endsWith('.ts') ? url.replace('/src/', '/dist/') : url;
}
