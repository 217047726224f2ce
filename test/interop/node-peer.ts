import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  Driver,
  PublishEvents,
  Stores,
  TaskContext,
  TaskOptions,
  TaskQueueSettingsInit,
  WorkerEvent,
} from '@taskqueue/core';
import {
  composeStores,
  defineTask,
  Ignore,
  Reject,
  plainHandler,
  silentLogger,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { dialect } from './python-peer.js';

/** An exception of the application's own. */
export class OrderError extends Error {
  override readonly name = 'OrderError';
}

export interface NodePeerInit {
  readonly broker: Driver;
  readonly results: Driver | 'rpc' | undefined;
  readonly queue: string;
  readonly ledger: string;
  readonly settings?: TaskQueueSettingsInit;
}

/** Our side: a client, workers, and the tasks that they run, each named after its brother in python/tasks.py. */
export class NodePeer {
  readonly events: WorkerEvent[] = [];
  readonly sender: TaskSender;
  readonly stores: Stores;
  private readonly registry = new TaskRegistry();
  private readonly workers: Worker[] = [];
  private readonly settings: TaskQueueSettingsInit;

  /** Of its tasks. */
  get queue(): string {
    return this.init.queue;
  }

  private constructor(private readonly init: NodePeerInit) {
    this.settings = {
      defaultQueue: init.queue,
      dialect,
      ...init.settings,
      worker: { logTasks: false, shutdownGrace: '5s', ...init.settings?.worker },
    };
    this.stores = composeStores({
      broker: init.broker,
      ...(init.results === undefined ? {} : { results: init.results }),
    });
    this.sender = this.senderWith({});
    this.defineTasks();
  }

  static async open(init: NodePeerInit): Promise<NodePeer> {
    const peer = new NodePeer(init);
    await Promise.all(peer.stores.drivers.map((driver) => driver.connect({ logger: silentLogger })));
    return peer;
  }

  /** A client with other settings. `events` are told of what it sends. */
  senderWith(settings: TaskQueueSettingsInit, events?: PublishEvents): TaskSender {
    return new TaskSender({
      ...(events === undefined ? {} : { events }),
      stores: this.stores,
      registry: this.registry,
      settings: validateSettings({ ...this.settings, ...settings }),
      clock: systemClock,
    });
  }

  /** Resolves when it consumes. */
  async work(worker: NonNullable<TaskQueueSettingsInit['worker']> = {}): Promise<Worker> {
    const settings = validateSettings({ ...this.settings, worker: { ...this.settings.worker, ...worker } });
    const { stores, registry } = this;
    const started = new Worker({
      stores,
      registry,
      settings,
      clock: systemClock,
      logger: silentLogger,
      random: Math.random,
    });
    started.on((event) => this.events.push(event));
    this.workers.push(started);
    await started.start();
    return started;
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop({ graceMs: 2_000 })));
    await Promise.all(this.stores.drivers.map((driver) => driver.close()));
  }

  private defineTasks(): void {
    this.task('add', (x: number, y: number) => x + y);
    const params = ['first', 'second', 'third'];
    this.task('echo', (...all: unknown[]) => called(all.at(-1) as TaskContext), { params, bind: true });
    this.task('total', (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0));
    this.task('when', (instant: Date | string) => new Date(instant).getTime() / 1_000);
    this.task('fail', (message: string) => {
      throw new RangeError(message);
    });
    this.task('fail_own', (code: number, text: string) => {
      throw Object.assign(new OrderError(`${code}: ${text}`), { code });
    });
    this.task('retry_once', (context: TaskContext) => retryOnce(context), { bind: true, retry: { max: 3 } });
    this.task('ignored', () => {
      throw new Ignore();
    });
    this.task('refuse', (reason: string) => {
      throw new Reject(reason);
    });
    this.task('silent', (value: unknown) => value, { ignoreResult: true });
    this.task('request', (...all: unknown[]) => request(all.at(-1) as TaskContext), { bind: true });
    this.task(
      'sleep',
      async (seconds: number, context: TaskContext) => {
        await pause(seconds * 1_000, undefined, { signal: context.signal });
        return seconds;
      },
      { bind: true },
    );
    this.task('shared.count', async (number: number) => {
      await pause(20);
      appendFileSync(this.init.ledger, `js ${number}\n`);
      return number;
    });
    this.task('note', (...args: unknown[]) => {
      appendFileSync(this.init.ledger, `note ${args.join(' ')}\n`);
      return args;
    });
  }

  private task(name: string, fn: (...args: never[]) => unknown, options: TaskOptions = {}): void {
    const definition = defineTask(name.includes('.') ? name : `js.${name}`, options);
    this.registry.register({ definition, handler: plainHandler(definition, fn), source: name });
  }
}

function called({ args, kwargs }: TaskContext): unknown {
  return { args, kwargs };
}

function retryOnce(context: TaskContext): number {
  if (context.retries === 0) context.retry({ countdown: 0, cause: new OrderError('not yet') });
  return context.retries;
}

/** What a worker tells its task of the message. */
function request(context: TaskContext): unknown {
  return {
    id: context.id,
    root_id: context.rootId,
    parent_id: context.parentId ?? null,
    retries: context.retries,
    eta: context.eta?.toISOString() ?? null,
    expires: context.expires?.toISOString() ?? null,
    headers: { ...context.headers },
    deadline: context.deadline?.getTime() ?? null,
    at: Date.now() / 1_000,
  };
}
