import { setTimeout as pause } from 'node:timers/promises';
import type { Driver } from '@taskqueue/core';
import {
  composeStores,
  defineTask,
  silentLogger,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { expect } from 'vitest';

/** A worker on a driver of its own, and what it has started. */
interface Member {
  readonly driver: Driver;
  readonly worker: Worker;
  readonly started: { readonly id: string; readonly at: number }[];
}

export interface FleetOptions {
  /** Tasks leave no result, so that they end with a plain acknowledgement. Default false. */
  readonly ignoreResult?: boolean;
}

const PUBLISH_EVERY_MS = 5;
const TASK_MS = 10;

/**
 * Several workers under a steady load, and a ledger: what was accepted, what may have been, and what ran. Each worker has
 * a driver of its own, as in a process of its own.
 */
export class Fleet {
  readonly members: Member[] = [];
  /** Ids that the broker has accepted. */
  readonly accepted = new Set<string>();
  /** Ids of which nobody knows whether they were accepted. */
  readonly doubtful = new Set<string>();
  /** How often each id ran to its end. */
  readonly runs = new Map<string, number>();
  private readonly sender: TaskSender;
  private pumping: Promise<void> | undefined;
  private isPumping = false;
  private last = 0;

  private constructor(
    private readonly producer: Driver,
    private readonly options: FleetOptions,
  ) {
    this.sender = new TaskSender({
      stores: composeStores({ broker: producer }),
      registry: new TaskRegistry(),
      settings: validateSettings({}),
      clock: systemClock,
    });
  }

  /** `producer` publishes and inspects; each of `workers` takes tasks. */
  static async open(producer: Driver, workers: readonly Driver[], options: FleetOptions = {}): Promise<Fleet> {
    await Promise.all([producer, ...workers].map((driver) => driver.connect({ logger: silentLogger })));
    const fleet = new Fleet(producer, options);
    await Promise.all(workers.map((driver, index) => fleet.add(driver, `worker-${index}`)));
    return fleet;
  }

  /**
   * Brings a fault upon the fleet under load. Every worker must start tasks again within `recoveryMs` of its end, every
   * accepted task must have run exactly once, and nothing may be left.
   */
  async survives(fault: () => Promise<void>, recoveryMs = 10_000): Promise<void> {
    this.pump();
    await this.everyWorkerStarts(performance.now(), 10_000);
    await fault();
    const recoveredIn = await this.everyWorkerStarts(performance.now(), recoveryMs);
    expect(recoveredIn).toBeLessThan(recoveryMs);
    await this.stopPumping();
    await this.settles();
  }

  pump(): void {
    this.isPumping = true;
    this.pumping ??= this.publishOn();
  }

  async stopPumping(): Promise<void> {
    this.isPumping = false;
    await this.pumping;
    this.pumping = undefined;
  }

  /** The id of the task that is published next. */
  get nextId(): string {
    return `task-${this.last + 1}.`;
  }

  /** Publishes one task; resolves when it is known what became of it. */
  async publish(): Promise<string> {
    const id = this.nextId;
    this.last += 1;
    try {
      await this.sender.sendTask(
        'work',
        [],
        {},
        { taskId: id, retry: false, ignoreResult: this.options.ignoreResult === true },
      );
      this.accepted.add(id);
    } catch {
      this.doubtful.add(id);
    }
    return id;
  }

  /** Resolves when every worker has started two tasks since `since`; with how long that took. */
  async everyWorkerStarts(since: number, withinMs: number): Promise<number> {
    await eventually(() => {
      for (const { started, worker } of this.members) {
        const fresh = started.filter((one) => one.at > since).length;
        expect(fresh, `tasks started by ${worker.name}`).toBeGreaterThanOrEqual(2);
      }
    }, withinMs);
    return performance.now() - since;
  }

  /** Nothing runs or waits any more, and the ledger is exact. */
  async settles(withinMs = 15_000): Promise<void> {
    await eventually(async () => {
      const missing = [...this.accepted].filter((id) => !this.runs.has(id));
      expect(missing, 'accepted and not run').toEqual([]);
      for (const queue of (await this.producer.inspector?.queues()) ?? []) {
        const { ready, delayed, leased, dead } = queue;
        expect({ ready, delayed, leased, dead }).toEqual({ ready: 0, delayed: 0, leased: 0, dead: 0 });
      }
    }, withinMs);
    const repeated = [...this.runs].filter(([, runs]) => runs !== 1);
    expect(repeated, 'run more than once').toEqual([]);
    const unknown = [...this.runs.keys()].filter((id) => !this.accepted.has(id) && !this.doubtful.has(id));
    expect(unknown, 'run and never sent').toEqual([]);
    if (this.options.ignoreResult === true) return;
    const ids = [...this.accepted];
    // A node of a cluster that was away may not be connected again yet: a call says so, and is for its caller to repeat.
    await eventually(async () => {
      const records = (await this.producer.results?.get(ids)) ?? [];
      const unsuccessful = ids.filter((_id, index) => records[index]?.state !== 'SUCCESS');
      expect(unsuccessful, 'without a result').toEqual([]);
    }, withinMs);
  }

  async close(): Promise<void> {
    await this.stopPumping();
    await Promise.all(this.members.map(({ worker }) => worker.stop({ graceMs: 500 })));
    await Promise.all([...this.members.map(({ driver }) => driver), this.producer].map((driver) => driver.close()));
  }

  private async add(driver: Driver, name: string): Promise<void> {
    const registry = new TaskRegistry();
    const definition = defineTask('work', {});
    const started: Member['started'] = [];
    registry.register({
      definition,
      source: 'work',
      handler: async ({ context }) => {
        started.push({ id: context.id, at: performance.now() });
        await pause(TASK_MS);
        this.runs.set(context.id, (this.runs.get(context.id) ?? 0) + 1);
        return name;
      },
    });
    const worker = new Worker({
      stores: composeStores({ broker: driver }),
      registry,
      settings: validateSettings({ worker: { name, concurrency: 4, lease: '30s', logTasks: false } }),
      logger: silentLogger,
      clock: systemClock,
      random: Math.random,
    });
    this.members.push({ driver, worker, started });
    await worker.start();
  }

  private async publishOn(): Promise<void> {
    while (this.isPumping) {
      await this.publish();
      await pause(PUBLISH_EVERY_MS);
    }
  }
}
