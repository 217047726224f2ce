import type {
  BarrierStore,
  Broker,
  Driver,
  DriverContext,
  DriverMigrations,
  LockStore,
  Logger,
  PubSub,
  QueueInspector,
  ResultBackend,
  RevocationStore,
  ScheduleStore,
} from '@taskqueue/core';
import { ConfigurationError, silentLogger } from '@taskqueue/core';
import { SqlBroker } from './broker/sql-broker.js';
import { WakeHub } from './broker/wake-hub.js';
import { withoutCredentials } from './connection-url.js';
import { databaseMigrations, openDatabase } from './database.js';
import type { OpenedDatabase } from './opened-database.js';
import type { TypeormDriverOptions } from './driver-options.js';
import { PostgresPubSub } from './postgres/postgres-pub-sub.js';
import { PostgresStore } from './postgres/postgres-store.js';
import { DetachedStore } from './sql/detached-store.js';
import { LatePubSub } from './sql/late-pub-sub.js';
import { LateStore } from './sql/late-store.js';
import { statement } from './sql/sql-store.js';
import { SqlBarriers } from './sql-barriers.js';
import { SqlInspector } from './sql-inspector.js';
import { SqlLocks } from './sql-locks.js';
import { SqlResults } from './sql-results.js';
import { SqlRevocations } from './sql-revocations.js';
import { SqlSchedules } from './sql-schedules.js';
import { SqlitePubSub } from './sqlite/sqlite-pub-sub.js';

/**
 * Broker, results, revocations, schedules, inspector, locks, barriers and pub/sub in one SQL database, so that completing
 * a task, keeping its result and sending what follows are one commit. Throws ConfigurationError for options that cannot be used.
 */
export function typeormDriver(options: TypeormDriverOptions): Driver {
  check(options);
  return new TypeormDriver(options);
}

/** The driver for a URL, as the configuration calls it. Throws ConfigurationError. */
export function createDriver(url: string): Driver {
  return typeormDriver({ url });
}

const DEFAULT_POLL_MS = 1_000;

class TypeormDriver implements Driver {
  readonly contract = 1;
  readonly broker: Broker;
  readonly results: ResultBackend;
  readonly revocations: RevocationStore;
  readonly schedules: ScheduleStore;
  readonly inspector: QueueInspector;
  readonly locks: LockStore;
  readonly barriers: BarrierStore;
  readonly pubsub: PubSub;
  readonly migrations: DriverMigrations;
  private readonly store = new LateStore();
  private readonly latePubSub = new LatePubSub();
  private readonly hub: WakeHub;
  private readonly sqlBroker: SqlBroker;
  private database: OpenedDatabase | undefined;
  private connecting: Promise<void> | undefined;
  private logger: Logger = silentLogger;

  constructor(private readonly options: TypeormDriverOptions) {
    const { store } = this;
    const pollMs = options.pollMs ?? DEFAULT_POLL_MS;
    const detached = new DetachedStore(store);
    this.hub = new WakeHub({ store: detached, pollMs, logger: () => this.logger });
    const keepAlive = (consumer: number) => this.database?.keepAlive(consumer);
    this.sqlBroker = new SqlBroker({ store, detached, hub: this.hub, pollMs, keepAlive });
    this.broker = this.sqlBroker;
    this.results = new SqlResults(store);
    this.revocations = new SqlRevocations(store);
    this.locks = new SqlLocks(store);
    this.schedules = new SqlSchedules(store, this.hub, this.locks);
    this.inspector = new SqlInspector(store, this.hub);
    this.barriers = new SqlBarriers(store);
    this.pubsub = this.latePubSub;
    this.migrations = databaseMigrations(options);
  }

  get name(): string {
    return (
      this.database?.store.dialect.name ?? (this.options.url?.startsWith('sqlite:') === true ? 'sqlite' : 'postgres')
    );
  }

  describe(): string {
    if (this.database !== undefined) return this.database.describe();
    return this.options.url === undefined ? 'typeorm data source' : withoutCredentials(this.options.url);
  }

  connect(context: DriverContext): Promise<void> {
    this.logger = context.logger;
    this.connecting ??= this.open(context).catch((error: unknown) => {
      this.connecting = undefined;
      throw error;
    });
    return this.connecting;
  }

  async close(): Promise<void> {
    await this.connecting?.catch(() => undefined);
    const database = this.database;
    if (database === undefined) return;
    this.database = undefined;
    this.connecting = undefined;
    await this.sqlBroker.close();
    await this.latePubSub.end();
    this.store.inner = undefined;
    await database.close();
  }

  async ping(): Promise<void> {
    await this.store.once(() => statement('select 1 as one'));
  }

  private async open(context: DriverContext): Promise<void> {
    context.signal?.throwIfAborted();
    this.database = await openDatabase({
      options: this.options,
      logger: () => this.logger,
      onChange: () => {
        this.hub.ringAndLook();
        this.latePubSub.inner?.changed();
      },
    });
    const { store } = this.database;
    const logger = (): Logger => this.logger;
    this.store.inner = store;
    this.latePubSub.inner =
      store instanceof PostgresStore
        ? new PostgresPubSub(store, new DetachedStore(store), logger)
        : new SqlitePubSub(store, logger);
  }
}

function check(options: TypeormDriverOptions): void {
  const problems = [];
  if ((options.dataSource === undefined) === (options.url === undefined)) {
    problems.push({
      path: 'typeormDriver',
      expected: 'either dataSource or url',
      value: Object.keys(options),
      remedy: "Pass the application's data source, or the URL of a database.",
    });
  }
  const { pollMs } = options;
  if (pollMs !== undefined && !(Number.isFinite(pollMs) && pollMs >= 10)) {
    problems.push({ path: 'pollMs', expected: 'at least 10 milliseconds', value: pollMs });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}
