import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/ambient/logger.js';
import { Signature } from '../../src/canvas/signature.js';
import { TaskSender } from '../../src/client/task-sender.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Delivery, SettleOutcome, Settlement } from '../../src/ports/delivery.js';
import { composeStores } from '../../src/ports/stores.js';
import { defineTask } from '../../src/task/task-definition.js';
import { plainHandler, TaskRegistry } from '../../src/task/task-registry.js';
import { FakeClock } from '../../src/testing/fake-clock.js';
import { FaultyDriver } from '../../src/testing/faulty-driver.js';
import { Settler } from '../../src/worker/settler.js';
import { Worker } from '../../src/worker/worker.js';

const workers: Worker[] = [];

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop({ graceMs: 0 })));
});

/** A worker with a lease of one second, on a clock that moves when told, and stores that break when told. */
function open(split = false) {
  const clock = new FakeClock();
  const inner = memoryDriver({ clock });
  const driver = new FaultyDriver(inner, { clock });
  const results = split ? new FaultyDriver(memoryDriver({ clock }), { clock }) : driver;
  const stores = composeStores({ broker: driver, results });
  const settings = validateSettings({ worker: { lease: '1s', logTasks: false } });
  const registry = new TaskRegistry();
  const ran: unknown[] = [];
  const definition = defineTask('work');
  const handler = plainHandler(definition, (what: unknown) => ran.push(what));
  registry.register({ definition, handler, source: 'work' });
  const common = { stores, settings, registry, clock };
  const sender = new TaskSender(common);
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (text: unknown) => void warnings.push(String(text)) };
  const worker = new Worker({ ...common, logger, random: () => 0.5 });
  workers.push(worker);
  return { clock, inner, driver, results, registry, settings, sender, worker, ran, warnings };
}

describe('a settlement that the store refuses', () => {
  it('keeps no other back, and is given up after the lease', async () => {
    const clock = new FakeClock();
    const stored: string[] = [];
    const settle = (settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> => {
      const queues = settlements.map(({ delivery }) => delivery.queue);
      if (queues.includes('bad')) return Promise.reject(new Error('value too long'));
      stored.push(...queues);
      return Promise.resolve(queues.map(() => 'settled'));
    };
    const common = { broker: {} as never, results: undefined, atomic: true, logger: silentLogger, leaseMs: 1_000 };
    const settler = new Settler({ ...common, consumer: { settle } as never, clock });
    const outcomes: string[] = [];
    for (const queue of ['first', 'bad', 'last']) {
      settler.end({ kind: 'ack', delivery: { queue } as Delivery }, (outcome) => outcomes.push(`${queue} ${outcome}`));
    }
    await clock.advance('900ms');
    expect(stored).toEqual(['first', 'last']);
    expect(outcomes).toEqual(['first settled', 'last settled']);
    await clock.advance('5s');
    expect(outcomes).toEqual(['first settled', 'last settled', 'bad lost']);
  });
});

describe('a settlement', () => {
  it('is tried until the store is back, also after the lease, and the task does not run again', async () => {
    const { clock, driver, sender, worker, ran, warnings } = open();
    await worker.start();
    driver.down(['consumer.settle']);
    const handle = await sender.sendTask('work', ['once']);
    await clock.advance('20s');
    expect(await handle.ready()).toBe(false);
    driver.up();
    await clock.advance('2s');
    expect(await handle.record()).toMatchObject({ state: 'SUCCESS', run: 1 });
    expect(ran).toEqual(['once']);
    // It is told at first and now and then, not at every try.
    expect(warnings.length).toBeGreaterThanOrEqual(3);
    expect(warnings.length).toBeLessThan(10);
  });

  it.each([
    ['that has ended', [], ['once']],
    ['whose followers may not be sent yet', ['mail'], ['once', 'once']],
  ])('that was cut off after the result was written: a task %s', async (_what, link, runs) => {
    const { clock, inner, driver, results, registry, settings, sender, worker, ran } = open(true);
    await worker.start();
    driver.down(['consumer.settle', 'consumer.extend', 'broker.recover']);
    const handle = await sender.sendTask('work', ['once'], {}, { link: link.map((name) => new Signature(name)) });
    await clock.advance('100ms');
    expect(ran).toEqual(['once']);
    worker.pause();
    await clock.advance('3s');
    const stores = composeStores({ broker: inner, results });
    const heir = new Worker({ stores, settings, registry, clock, logger: silentLogger, random: () => 0.5 });
    workers.push(heir);
    await heir.start();
    await clock.advance('3s');
    expect(ran).toEqual(runs);
    expect(await handle.record()).toMatchObject({ state: 'SUCCESS', run: 1 });
    expect(await inner.inspector?.peek({ queue: 'default', status: 'leased', limit: 1 })).toEqual([]);
    driver.up();
    await clock.advance('3s');
  });

  it('of a task that someone else has taken over meanwhile does nothing', async () => {
    const { clock, inner, driver, sender, worker, ran } = open();
    await worker.start();
    driver.down(['consumer.settle', 'consumer.extend', 'broker.recover']);
    const handle = await sender.sendTask('work', ['once here']);
    await clock.advance('100ms');
    expect(ran).toHaveLength(1);
    worker.pause();
    await clock.advance('3s');
    await inner.broker?.recover?.();
    const subscription = { queues: ['default'], consumerId: 'other', leaseMs: 60_000 };
    const other = await inner.broker?.consume(subscription);
    const [taken] = (await other?.receive({ max: 1, signal: AbortSignal.timeout(5_000) })) ?? [];
    expect(taken).toMatchObject({ run: 2, lostLeases: 1 });
    driver.up();
    await clock.advance('3s');
    // Not the record of the first run, and not the end of the message either.
    expect(await handle.record()).toMatchObject({ state: 'PENDING' });
    expect(await other?.settle([{ kind: 'ack', delivery: taken as Delivery }])).toEqual(['settled']);
    expect(ran).toEqual(['once here']);
  });

  it('does not outlive its worker', async () => {
    const { clock, driver, sender, worker } = open();
    await worker.start();
    await sender.sendTask('work');
    driver.down();
    await clock.advance('3s');
    const stopped = worker.stop({ graceMs: 500 });
    await clock.advance('10s');
    await stopped;
    expect(worker.state).toBe('stopped');
    expect(clock.pending, 'timers that are left').toBe(0);
  });

  it('is waited for where results are away and the broker is not, before much more is taken', async () => {
    const { clock, results, sender, worker, ran } = open(true);
    await worker.start();
    results.down(['results.put']);
    const handles = await sender.sendMany(Array.from({ length: 12_000 }, () => ({ task: 'work' })));
    await clock.advance('5s');
    expect(ran.length).toBeGreaterThanOrEqual(10_000);
    expect(ran.length).toBeLessThan(11_000);
    results.up();
    await clock.advance('5s');
    expect(ran).toHaveLength(12_000);
    expect(await handles.at(-1)?.state()).toBe('SUCCESS');
  }, 60_000);
});
