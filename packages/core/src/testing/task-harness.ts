import { silentLogger } from '../ambient/logger.js';
import type { ApplyOptions } from '../client/task-call.js';
import { TaskSender } from '../client/task-sender.js';
import type { Duration } from '../config/duration.js';
import type { TaskQueueSettings, TaskQueueSettingsInit } from '../config/settings.js';
import { validateSettings } from '../config/validate-settings.js';
import type { FailureRecord } from '../errors/errors.js';
import { memoryDriver } from '../memory/memory-driver.js';
import type { Driver } from '../ports/driver.js';
import type { Stores } from '../ports/stores.js';
import { composeStores } from '../ports/stores.js';
import { defineTask } from '../task/task-definition.js';
import type { TaskOptions } from '../task/task-options.js';
import { plainHandler, TaskRegistry } from '../task/task-registry.js';
import type { TaskState } from '../task/task-state.js';
import type { WorkerEvent } from '../worker/worker-events.js';
import { Worker } from '../worker/worker.js';
import { drained } from './drain.js';
import { FakeClock } from './fake-clock.js';
import type { EnqueuedLog } from './recording-driver.js';
import { recordingDriver } from './recording-driver.js';

/** How a task stands after what was due of it has run. */
export interface TaskRun {
  readonly id: string;
  readonly state: TaskState;
  /** What the handler returned, as a caller of `get()` sees it; undefined unless it succeeded. */
  readonly value: unknown;
  readonly failure: FailureRecord | undefined;
  /** Attempts begun. */
  readonly attempts: number;
  /** Milliseconds until the next attempt, where one waits. */
  readonly dueInMs: number | undefined;
  /** What the worker said of the task. */
  readonly events: readonly WorkerEvent[];
}

export interface TaskHarnessOptions {
  readonly settings?: TaskQueueSettingsInit;
  /** Default: everything in memory, on the harness's clock. */
  readonly driver?: (clock: FakeClock) => Driver;
  /** 0 to 1, for jitter. Default always 0.5. */
  readonly random?: () => number;
}

/**
 * Runs tasks given as plain functions through the real client, broker, executor and result store, on a clock that only
 * moves when it is told:
 *
 * ```ts
 * const harness = new TaskHarness();
 * harness.task('greet', (name: string) => `Hello ${name}`);
 * const { state, value } = await harness.run('greet', ['Ada']);
 * ```
 */
export class TaskHarness {
  readonly clock = new FakeClock();
  readonly registry = new TaskRegistry();
  readonly settings: TaskQueueSettings;
  readonly stores: Stores;
  readonly sender: TaskSender;
  /** Everything that was enqueued. */
  readonly log: EnqueuedLog;
  private readonly events: WorkerEvent[] = [];
  private readonly random: () => number;

  constructor(options: TaskHarnessOptions = {}) {
    const { settings, driver = (clock) => memoryDriver({ clock }), random = () => 0.5 } = options;
    // No grace: nobody moves the clock while the worker stops.
    this.settings = validateSettings({
      ...settings,
      worker: { ...settings?.worker, shutdownGrace: 0, logTasks: false },
    });
    this.random = random;
    const recorded = recordingDriver(driver(this.clock), this.settings);
    this.log = recorded.log;
    this.stores = composeStores({ broker: recorded.driver });
    const { stores, registry, clock } = this;
    this.sender = new TaskSender({ stores, registry, settings: this.settings, clock });
  }

  /** Registers a function as a task. Throws what a registration throws. */
  task(name: string, fn: (...args: never[]) => unknown, options: TaskOptions = {}): this {
    const definition = defineTask(name, options);
    this.registry.register({ definition, handler: plainHandler(definition, fn), source: name });
    return this;
  }

  /** Sends the task, runs everything that is due, and tells how it stands. */
  async run(name: string, args: readonly unknown[] = [], options: ApplyOptions = {}): Promise<TaskRun> {
    const { id } = await this.sender.sendTask(name, args, {}, options);
    await this.work(() => Promise.resolve());
    return this.outcome(id);
  }

  /** Moves the clock; what falls due on the way runs at its time. */
  async advance(duration: Duration): Promise<void> {
    await this.work(() => this.clock.advance(duration));
  }

  /** How a task stands now. */
  async outcome(id: string): Promise<TaskRun> {
    const handle = this.sender.handle(id);
    const record = await handle.record();
    return {
      id,
      state: record?.state ?? 'PENDING',
      value: await handle.result(),
      failure: record?.failure,
      attempts: record?.attempts ?? 0,
      dueInMs: await this.dueIn(id),
      events: this.events.filter((event) => 'task' in event && event.task.id === id),
    };
  }

  private async work(during: () => Promise<void>): Promise<void> {
    const { stores, registry, settings, clock, random } = this;
    const worker = new Worker({ stores, registry, settings, clock, random, logger: silentLogger });
    worker.on((event) => this.events.push(event));
    await worker.start();
    try {
      await during();
      await drained({ worker, inspector: stores.inspector, clock });
    } finally {
      await worker.stop();
    }
  }

  private async dueIn(id: string): Promise<number | undefined> {
    const queues = (await this.stores.inspector?.queues()) ?? [];
    for (const { name } of queues) {
      const delayed = await this.stores.inspector?.peek({ queue: name, status: 'delayed', limit: 1_000 });
      const eta = delayed?.find((message) => message.id === id)?.eta;
      if (eta !== undefined) return eta - this.clock.now();
    }
    return undefined;
  }
}
