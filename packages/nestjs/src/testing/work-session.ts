import { AsyncLocalStorage } from 'node:async_hooks';
import type { Worker } from '@taskqueue/core';
import type { EnqueuedLog } from '@taskqueue/core/testing';
import { drained } from '@taskqueue/core/testing';
import type { TaskQueueRuntime } from '../task-queue.runtime.js';

/**
 * A worker that is there while someone needs it. Users overlap: the first starts it, the last stops it.
 *
 * ```text
 *   (none) ──first user──► working ──nothing due, last user──► (none)
 *                           │    ▲
 *                           └────┘ a task came to a queue that nobody had named: start anew with that queue
 * ```
 */
export class WorkSession {
  private users = 0;
  private worker: Promise<Worker> | undefined;
  private closed = false;
  private readonly inside = new AsyncLocalStorage<true>();

  constructor(
    private readonly runtime: TaskQueueRuntime,
    private readonly log: EnqueuedLog,
  ) {}

  /** True in code that a task of this session runs: it must not wait for the session, which waits for it. */
  get isInside(): boolean {
    return this.inside.getStore() === true;
  }

  /** Runs `during` beside a worker, and then everything that is due. */
  async use(during: () => Promise<void>): Promise<void> {
    this.users += 1;
    try {
      await this.start();
      await during();
      await this.runDry();
    } finally {
      this.users -= 1;
      if (this.users === 0) await this.stop();
    }
  }

  /** Ends it for good, whoever uses it; what runs is aborted. */
  close(): Promise<void> {
    this.closed = true;
    return this.stop();
  }

  private async stop(): Promise<void> {
    const worker = this.worker;
    this.worker = undefined;
    await (await worker)?.stop({ graceMs: 0 });
  }

  private start(): Promise<Worker> {
    this.worker ??= this.inside.run(true, async () => {
      // Tests run in their own process, whatever the application does.
      const pool = this.runtime.settings.worker.pool === 'solo' ? 'solo' : 'async';
      const worker = this.runtime.createWorker({ queues: this.queues(), pool });
      await worker.start();
      return worker;
    });
    return this.worker;
  }

  private async runDry(): Promise<void> {
    const { stores, clock } = this.runtime;
    for (;;) {
      if (this.closed) return;
      const worker = await this.start();
      await drained({ worker, inspector: stores.inspector, clock });
      if (this.closed || this.queues().every((queue) => worker.queues.includes(queue))) return;
      await this.stop();
    }
  }

  /** Queues of the tasks that are registered here, and those to which a call has sent one of them. */
  private queues(): readonly string[] {
    const { registry, settings } = this.runtime;
    const declared = registry.all().map((task) => task.definition.queue ?? settings.defaultQueue);
    const sent = this.log.list().filter(({ task }) => registry.find(task) !== undefined);
    const { queues = [] } = settings.worker;
    return [...new Set([...queues, settings.defaultQueue, ...declared, ...sent.map(({ queue }) => queue)])];
  }
}
