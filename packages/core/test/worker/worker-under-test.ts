import { afterEach } from 'vitest';
import type { TaskOptions } from '../../src/task/task-options.js';
import type { ApplyOptions } from '../../src/client/task-call.js';
import { TaskSender } from '../../src/client/task-sender.js';
import type { TaskQueueSettingsInit } from '../../src/config/settings.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { silentLogger } from '../../src/ambient/logger.js';
import { systemClock } from '../../src/ambient/clock.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Driver } from '../../src/ports/driver.js';
import type { DriverChoice } from '../../src/ports/stores.js';
import { composeStores } from '../../src/ports/stores.js';
import { defineTask } from '../../src/task/task-definition.js';
import { plainHandler, TaskRegistry } from '../../src/task/task-registry.js';
import type { ChildProgram } from '../../src/pools/child.js';
import { Worker } from '../../src/worker/worker.js';
import type { WorkerEvent } from '../../src/worker/worker-events.js';

/** A queue on a driver of its own, with tasks given as plain functions. */
export class QueueUnderTest {
  readonly registry = new TaskRegistry();
  readonly settings;
  readonly stores;
  readonly sender: TaskSender;
  readonly events: WorkerEvent[] = [];
  readonly started: Worker[] = [];

  constructor(
    init: TaskQueueSettingsInit = {},
    readonly driver: Driver = memoryDriver(),
    choice: Omit<DriverChoice, 'broker'> = {},
  ) {
    this.settings = validateSettings({ ...init, worker: { lease: '2s', ...init.worker } });
    this.stores = composeStores({ broker: driver, ...choice });
    this.sender = new TaskSender({
      stores: this.stores,
      registry: this.registry,
      settings: this.settings,
      clock: systemClock,
    });
  }

  task(name: string, fn: (...args: never[]) => unknown, options: TaskOptions = {}): void {
    const definition = defineTask(name, options);
    this.registry.register({ definition, handler: plainHandler(definition, fn), source: name });
  }

  send<R = unknown>(name: string, args: readonly unknown[] = [], options: ApplyOptions = {}) {
    return this.sender.sendTask<R>(name, args, {}, options);
  }

  /** `given`: settings of this worker; `children`: the program of the pools that have some. */
  async work(given: NonNullable<TaskQueueSettingsInit['worker']> = {}, children?: ChildProgram): Promise<Worker> {
    const { settings } = this;
    const worker = new Worker({
      stores: this.stores,
      registry: this.registry,
      settings: { ...settings, worker: { ...settings.worker, ...given } as typeof settings.worker },
      logger: silentLogger,
      clock: systemClock,
      random: () => 0.5,
      ...(children === undefined ? {} : { children }),
    });
    worker.on((event) => this.events.push(event));
    this.started.push(worker);
    await worker.start();
    return worker;
  }

  async close(): Promise<void> {
    await Promise.all(this.started.map((worker) => worker.stop({ graceMs: 500 })));
    await this.driver.close();
  }
}

/** Makes queues for the cases of a file and closes them after each; call it at the top of the file. */
export function queuesUnderTest(): (...args: ConstructorParameters<typeof QueueUnderTest>) => QueueUnderTest {
  const queues: QueueUnderTest[] = [];
  afterEach(async () => {
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
  });
  return (...args) => {
    const queue = new QueueUnderTest(...args);
    queues.push(queue);
    return queue;
  };
}
