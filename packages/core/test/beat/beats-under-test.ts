import { silentLogger } from '../../src/ambient/logger.js';
import { Beat } from '../../src/beat/beat.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Driver } from '../../src/ports/driver.js';
import type { Stores } from '../../src/ports/stores.js';
import { composeStores } from '../../src/ports/stores.js';
import type { ScheduleEntryInit } from '../../src/schedule/declare-entry.js';
import { declareEntry } from '../../src/schedule/declare-entry.js';
import { defineTask } from '../../src/task/task-definition.js';
import type { TaskOptions } from '../../src/task/task-options.js';
import { TaskRegistry } from '../../src/task/task-registry.js';
import { FakeClock } from '../../src/testing/fake-clock.js';

export const START = Date.UTC(2026, 0, 1, 12, 0, 0);

/** Beats on one memory store, under a clock that moves when told. */
export class BeatsUnderTest {
  readonly clock = new FakeClock(START);
  readonly driver: Driver = memoryDriver({ clock: this.clock });
  readonly errors: string[] = [];
  readonly warnings: string[] = [];
  readonly planned: { name: string; dueAt: number | undefined }[] = [];
  readonly beats: Beat[] = [];
  readonly stores: Stores;

  constructor(
    change: (stores: Stores) => Stores = (stores) => stores,
    private readonly task: TaskOptions = {},
  ) {
    this.stores = change(composeStores({ broker: this.driver }));
  }

  async start(...declared: ScheduleEntryInit[]): Promise<Beat> {
    const registry = new TaskRegistry();
    const definition = defineTask('tick', { queue: 'ticks', ...this.task });
    registry.register({ definition, handler: () => undefined, source: 'tick' });
    const beat = new Beat({
      stores: this.stores,
      registry,
      settings: validateSettings({}),
      declared: declared.map(declareEntry),
      logger: {
        ...silentLogger,
        error: (message) => void this.errors.push(String(message)),
        warn: (message) => void this.warnings.push(String(message)),
      },
      clock: this.clock,
      random: () => 0.5,
      onPlanned: (plan) => this.planned.push(plan),
    });
    this.beats.push(beat);
    await beat.start();
    await this.clock.settle();
    return beat;
  }

  /** What a worker leaves of the oldest waiting task. */
  async run(task: string, taskId: string): Promise<void> {
    const { broker, results } = this.driver;
    const consumer = await broker?.consume({ queues: ['ticks'], consumerId: 'worker', leaseMs: 60_000 });
    if (consumer === undefined) throw new Error('no broker');
    const [delivery] = await consumer.receive({ max: 1, signal: new AbortController().signal });
    if (delivery === undefined) throw new Error('nothing waits');
    await results?.put([{ taskId, name: task, queue: 'ticks', state: 'SUCCESS', run: 1, attempts: 1 }]);
    await consumer.settle([{ kind: 'ack', delivery }]);
    await consumer.close();
  }

  async sent(): Promise<string[]> {
    const waiting = await this.driver.inspector?.peek({ queue: 'ticks', status: 'ready', limit: 1_000 });
    return (waiting ?? []).map((message) => message.id);
  }
}
