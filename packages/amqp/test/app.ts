import { randomUUID } from 'node:crypto';
import type { Driver, DriverChoice, TaskOptions, WorkerSettings } from '@taskqueue/core';
import {
  composeStores,
  defineTask,
  plainHandler,
  silentLogger,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
  Worker,
} from '@taskqueue/core';

/** An application on a driver: tasks as plain functions, a sender, workers. */
export class App {
  readonly queue = `a-${randomUUID().slice(0, 13)}`;
  readonly registry = new TaskRegistry();
  readonly stores;
  readonly sender: TaskSender;
  private readonly settings;
  private readonly workers: Worker[] = [];

  constructor(driver: Driver, choice: Omit<DriverChoice, 'broker'> = {}, worker: Partial<WorkerSettings> = {}) {
    this.stores = composeStores({ broker: driver, ...choice });
    this.settings = validateSettings({ defaultQueue: this.queue, worker: { logTasks: false, ...worker } });
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

  async work(worker: Partial<WorkerSettings> = {}): Promise<Worker> {
    const { stores, registry } = this;
    const settings = validateSettings({ worker }, this.settings);
    const one = new Worker({
      stores,
      registry,
      settings,
      logger: silentLogger,
      clock: systemClock,
      random: () => 0.5,
    });
    this.workers.push(one);
    await one.start();
    return one;
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop({ graceMs: 500 })));
  }
}
