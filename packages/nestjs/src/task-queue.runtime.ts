import { hostname } from 'node:os';
import type {
  ChildPort,
  Clock,
  ConfigurationProblem,
  Driver,
  DriverChoice,
  Logger,
  OutgoingMessage,
  PublishListener,
  ScheduleEntry,
  Stores,
  TaskQueueSettings,
  TaskQueueSettingsInit,
  Tracing,
  WorkerListener,
  WorkerOptions,
  WorkerSettings,
} from '@taskqueue/core';
import {
  Beat,
  composeStores,
  ConfigurationError,
  ControlBus,
  declareEntry,
  EventDispatcher,
  EventReceiver,
  isTaskQueueError,
  LocalRunner,
  LogicalClock,
  PoolHost,
  PublishEvents,
  sentEvents,
  settingsFromEnvironment,
  systemClock,
  TaskClient,
  TaskRegistry,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { TaskClassReader } from './discovery/class-reader.js';
import type { EventExplorer } from './discovery/event.explorer.js';
import type { TaskExplorer } from './discovery/task.explorer.js';
import { driverFromUrl, EMBEDDED_URL, RPC_URL } from './driver-loader.js';
import { EventHub } from './events/event-hub.js';
import { dtoSchema } from './execution/dto-schema.js';
import { findTracing } from './tracing/open-telemetry.js';
import { waitAtMost } from './lifecycle/wait-at-most.js';
import { nestLogger } from './logging/nest-logger.js';
import type { DriverOrUrl, TaskQueueModuleOptions } from './task-queue.module-options.js';
import { moduleProblems, settingsOf } from './task-queue.module-options.js';

type Environment = Readonly<Record<string, string | undefined>>;
/** For the last events of a process to be said, at most; and for that and every store to be closed. */
const LAST_EVENTS_MS = 1_000;
const LAST_WORDS_MS = 2_500;

/** Where tasks and listeners are found. */
interface Explorers {
  readonly tasks: TaskExplorer;
  readonly events: EventExplorer;
}

type WorkerHooks = Pick<WorkerOptions, 'children' | 'onShutdown' | 'onFailed'>;

/**
 * One task queue of one application: settings, drivers, registry, client, and the way to make workers and beats.
 * Mutable state lives here and nowhere else, so that several applications fit into one process.
 */
export class TaskQueueRuntime {
  readonly registry = new TaskRegistry();
  readonly client: TaskClient;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly events: EventHub;
  private readonly published: PublishEvents;
  private readonly logicalClock = new LogicalClock();
  private readonly dispatcher: EventDispatcher | undefined;
  private readonly reader = new TaskClassReader(dtoSchema);
  private readonly random: () => number;
  private declaredEntries: readonly ScheduleEntry[] = [];
  private connecting: Promise<void> | undefined;
  private readonly workerListeners: WorkerListener[] = [];
  private readonly closing = new AbortController();

  private constructor(
    readonly options: TaskQueueModuleOptions,
    readonly settings: TaskQueueSettings,
    readonly stores: Stores,
    private readonly tracing: Tracing | undefined,
  ) {
    this.logger = options.logger ?? nestLogger({ fields: settings.worker.logFields });
    this.clock = options.clock ?? systemClock;
    // oxlint-disable-next-line no-restricted-properties -- the one place where chance comes in
    this.random = options.random ?? Math.random;
    this.events = new EventHub(this.logger);
    this.published = new PublishEvents(this.logger);
    this.dispatcher = this.tellSent();
    const runner = new LocalRunner({ registry: this.registry, settings, logger: this.logger, clock: this.clock });
    this.client = new TaskClient({
      stores,
      registry: this.registry,
      settings,
      clock: this.clock,
      readClass: (taskClass) => this.reader.read(taskClass),
      ready: () => this.connect(),
      events: this.published,
      tracing,
      runHere: (message: OutgoingMessage) => runner.run(message),
      closed: this.closing.signal,
    });
  }

  /** Checks everything and makes the drivers; connects nothing. Throws a ConfigurationError with all problems. */
  static async create(options: TaskQueueModuleOptions, env: Environment = process.env): Promise<TaskQueueRuntime> {
    if (typeof options !== 'object' || options === null) throw new ConfigurationError([noOptions(options)]);
    const problems: ConfigurationProblem[] = moduleProblems(options);
    const collect = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        problems.push(...error.problems);
        return undefined;
      }
    };
    const settings = await collect(() => validateSettings(settingsFromEnvironment(env), settingsOf(options)));
    const stores = await collect(() => storesFrom(options, env));
    if (problems.length > 0 || settings === undefined || stores === undefined) throw new ConfigurationError(problems);
    return new TaskQueueRuntime(options, settings, stores, await findTracing());
  }

  /** Schedules that code declares: by decorators and by `forRoot({ schedule })`. */
  get declared(): readonly ScheduleEntry[] {
    return this.declaredEntries;
  }

  /**
   * Fills the registry. Called once, when all providers exist. Rejects with a ConfigurationError for schedules that no
   * worker could run.
   */
  async explore(explorers: Explorers, adopted: readonly ScheduleEntry[]): Promise<void> {
    const { tasks: explorer, events } = explorers;
    this.events.setListeners(events.explore({ carriesEvents: this.stores.pubsub !== undefined }));
    if (this.events.hears('task-publishing', 'task-sent')) this.published.on(this.events.tell);
    const { registry, reader } = this;
    const { schedules } = explorer.explore({ registry, reader, enhancers: this.options.enhancers ?? 'local' });
    const configured = Object.entries(this.options.schedule ?? {}).map(([name, init]) =>
      declareEntry({ ...init, name }),
    );
    this.declaredEntries = [...schedules, ...configured, ...adopted];
    refuseBadEntries(this.declaredEntries, this.registry);
    await refuseBadCalls(this.declaredEntries, this.client);
  }

  /** From now on the named entries are declared with the instant that the store has for them, where it has one. */
  async keepInstants(names: ReadonlySet<string>): Promise<void> {
    if (names.size === 0) return;
    await this.connect();
    const stored = new Map((await this.stores.schedules?.list())?.map((entry) => [entry.name, entry.schedule]));
    this.declaredEntries = this.declaredEntries.map((entry) => {
      const known = names.has(entry.name) ? stored.get(entry.name) : undefined;
      return known?.kind === 'clocked' ? { ...entry, schedule: known } : entry;
    });
  }

  /** Connects the drivers once; a failure may be tried again. */
  connect(): Promise<void> {
    this.connecting ??= this.connectDrivers().catch((error: unknown) => {
      this.connecting = undefined;
      throw error;
    });
    return this.connecting;
  }

  /** Calls back for the events of every worker that is made from now on. */
  onWorkerEvent(listener: WorkerListener): void {
    this.workerListeners.push(listener);
  }

  /** Calls back for everything that this process publishes from now on. */
  onPublishEvent(listener: PublishListener): void {
    this.published.on(listener);
  }

  /** Methods that listen to the cluster hear it from now on. */
  listenToCluster(): void {
    this.events.listenToCluster(this.createEventReceiver());
  }

  async close(): Promise<void> {
    this.closing.abort();
    const deadline = this.clock.monotonic() + LAST_WORDS_MS;
    await waitAtMost(this.clock, LAST_EVENTS_MS, Promise.resolve(this.dispatcher?.close()));
    await this.events.close();
    const closed = Promise.all(this.stores.drivers.map((driver) => driver.close()));
    if (!(await waitAtMost(this.clock, deadline - this.clock.monotonic(), closed)))
      this.logger.warn('A store does not answer: it is left without its goodbye.', 'TaskQueue');
  }

  /** Resolves when every store answers. */
  async ping(): Promise<void> {
    await this.connect();
    await Promise.all(this.stores.drivers.map((driver) => driver.ping()));
  }

  /**
   * A worker on this queue. `overrides` win over the settings; they are checked like these. `children`: the program that
   * the children of `threads` and `prefork` are started from, which has to come to `runWorker`; without it the pool is
   * `async` or `solo`, or it throws a ConfigurationError.
   */
  createWorker(overrides: Partial<WorkerSettings> = {}, hooks: WorkerHooks = {}): Worker {
    const { stores, registry, clock, random } = this;
    const settings = validateSettings({ worker: overrides }, asInit(this.settings));
    const logger = this.options.logger ?? nestLogger({ fields: settings.worker.logFields });
    const { published, logicalClock, events, tracing } = this;
    const own = { stores, registry, settings, logger, clock, random };
    const options = { ...own, published, logicalClock, tracing, ...hooks };
    const worker = new Worker(options);
    if (events.hears('task-', 'worker-')) worker.on(events.tell);
    for (const listener of this.workerListeners) worker.on(listener);
    return worker;
  }

  /** The settings of a worker that is made with these overrides. Throws a ConfigurationError. */
  workerSettings(overrides: Partial<WorkerSettings> = {}): WorkerSettings {
    return validateSettings({ worker: overrides }, asInit(this.settings)).worker;
  }

  /** The inside of a child: runs tasks for a worker, which is at the other end of the port. */
  createHost(port: ChildPort): PoolHost {
    const { registry, settings, logger, clock, tracing } = this;
    return new PoolHost({ port, registry, settings, logger, clock, tracing });
  }

  /** Commands to workers. */
  createControlBus(): ControlBus {
    const { controlSecret: secret } = this.settings.worker;
    return new ControlBus({ pubsub: this.stores.pubsub, clock: this.clock, secret });
  }

  /** What workers and clients tell of themselves. */
  createEventReceiver(): EventReceiver {
    const { stores, logger, logicalClock } = this;
    return new EventReceiver({ pubsub: stores.pubsub, logger, logicalClock });
  }

  createBeat(onPlanned?: (plan: { readonly name: string; readonly dueAt: number | undefined }) => void): Beat {
    const { stores, registry, settings, logger, clock, random, declared, published, events, tracing } = this;
    return new Beat({
      stores,
      registry,
      settings,
      declared,
      logger,
      clock,
      random,
      published,
      tracing,
      onEvent: events.tell,
      ...(onPlanned === undefined ? {} : { onPlanned }),
    });
  }

  /** Clients tell what they send only where they are told to, and can be heard. */
  private tellSent(): EventDispatcher | undefined {
    const { settings, stores, clock, logicalClock, logger } = this;
    const { pubsub } = stores;
    if (pubsub === undefined || !settings.client.sentEvents) return undefined;
    const host = `gen${process.pid}@${hostname()}`;
    const dispatcher = new EventDispatcher({ pubsub, hostname: host, clock, logicalClock, logger });
    this.published.on(sentEvents(dispatcher));
    return dispatcher;
  }

  private async connectDrivers(): Promise<void> {
    for (const driver of this.stores.drivers) await driver.connect({ logger: this.logger });
    const queues = new Set([
      this.settings.defaultQueue,
      ...this.registry.all().map((task) => task.definition.queue ?? ''),
    ]);
    queues.delete('');
    await this.stores.broker.declare([...queues].map((name) => ({ name })));
  }
}

/** An empty text, as an unset variable of a compose file leaves it, gives nothing; null is a wrong choice. */
function given<T>(...choices: readonly (T | undefined)[]): T | undefined {
  return choices.find((choice) => choice !== undefined && choice !== '');
}

async function storesFrom(options: TaskQueueModuleOptions, env: Environment): Promise<Stores> {
  const byUrl = new Map<string, Promise<Driver>>();
  const common = given(options.driver, env['TASKQUEUE_URL']);
  const make = (choice: DriverOrUrl | undefined, path: string): Promise<Driver> | undefined => {
    if (choice === undefined) return undefined;
    if (isDriver(choice)) return Promise.resolve(choice);
    // One URL is one driver, also when it serves several ports: so its steps can be one.
    const at = choice === common ? 'driver' : path;
    const known = byUrl.get(choice) ?? (typeof choice === 'string' ? driverFromUrl(choice, at) : noDriver(at, choice));
    byUrl.set(choice, known);
    return known;
  };
  const brokerChoice = given(options.broker, env['TASKQUEUE_BROKER_URL'], common, EMBEDDED_URL);
  const resultWish = given(options.results, env['TASKQUEUE_RESULTS_URL']);
  const resultChoice = given(resultWish, common);
  const scheduleChoice = given(options.schedules, env['TASKQUEUE_SCHEDULES_URL'], common);
  const [broker, results, schedules] = await allOf([
    make(brokerChoice, 'broker'),
    resultChoice === false || resultChoice === RPC_URL ? undefined : make(resultChoice, 'results'),
    make(scheduleChoice, 'schedules'),
  ] as const);
  return composeStores({
    broker: broker as Driver,
    // A common driver need not be able to do everything.
    ...(resultWish === undefined && results?.results === undefined ? {} : resultsOf(resultChoice, results)),
    ...(schedules?.schedules === undefined && options.schedules === undefined
      ? {}
      : { schedules: schedules as Driver }),
  });
}

function resultsOf(choice: DriverOrUrl | false | undefined, driver: Driver | undefined): Pick<DriverChoice, 'results'> {
  if (choice === false) return { results: false };
  if (choice === RPC_URL) return { results: 'rpc' };
  return driver === undefined ? {} : { results: driver };
}

/** Like `Promise.all`, but the ConfigurationErrors of all are one. */
async function allOf<T extends readonly unknown[]>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(work);
  const errors = [...new Set(settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : [])))];
  const other = errors.find((error) => !(error instanceof ConfigurationError));
  if (other !== undefined) throw other;
  const problems = errors.flatMap((error) => (error as ConfigurationError).problems);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return Promise.all(work) as Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
}

/** Names that are taken twice, and tasks that do not exist here: all at once. */
function refuseBadEntries(entries: readonly ScheduleEntry[], registry: TaskRegistry): void {
  const seen = new Set<string>();
  const problems = entries.flatMap((entry) => {
    const twice = seen.has(entry.name);
    seen.add(entry.name);
    if (twice)
      return [{ path: `schedule ${entry.name}`, expected: 'a name that no other schedule has', value: entry.name }];
    if (registry.find(entry.task) !== undefined) return [];
    return [
      {
        path: `schedule ${entry.name}.task`,
        expected: `one of ${registry.names().join(', ') || 'the tasks of this application, which has none'}`,
        value: entry.task,
      },
    ];
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Sending checks the same; but these would be sent by beat, and refused at every occurrence. */
async function refuseBadCalls(entries: readonly ScheduleEntry[], client: TaskClient): Promise<void> {
  const problems = await Promise.all(entries.map((entry) => callProblem(entry, client)));
  const found = problems.filter((problem) => problem !== undefined);
  if (found.length > 0) throw new ConfigurationError(found);
}

async function callProblem(entry: ScheduleEntry, client: TaskClient): Promise<ConfigurationProblem | undefined> {
  const { name, task, args, kwargs, headers = {} } = entry;
  try {
    await client.check(task, args, { kwargs, headers });
    return undefined;
  } catch (error) {
    if (!isTaskQueueError(error)) throw error;
    const { field = 'args' } = error.fields as { readonly field?: string };
    const path = `schedule ${name}.${field}`;
    return { path, expected: 'what its task takes', value: { args, kwargs, headers }, remedy: error.message };
  }
}

function asInit(settings: TaskQueueSettings): TaskQueueSettingsInit {
  return settings;
}

function isDriver(choice: unknown): choice is Driver {
  return typeof choice === 'object' && choice !== null && 'contract' in choice;
}

function noDriver(path: string, value: unknown): Promise<never> {
  const remedy = 'Give e.g. memoryDriver(), typeormDriver({ dataSource }), or sqlite:./file.';
  return Promise.reject(new ConfigurationError([{ path, expected: 'a driver or the URL of one', value, remedy }]));
}

function noOptions(value: unknown): ConfigurationProblem {
  return {
    path: 'options',
    expected: 'an object',
    value,
    remedy: 'Let the factory of forRootAsync return the options; {} for the defaults.',
  };
}
