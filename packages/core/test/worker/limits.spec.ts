import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/ambient/clock.js';
import { deferred } from '../../src/async/deferred.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import type { QueueInspector } from '../../src/ports/queue-inspector.js';
import { eventually } from '../../src/testing/eventually.js';
import { queuesUnderTest } from './worker-under-test.js';

const queueUnderTest = queuesUnderTest();
const leased = async (inspector: QueueInspector | undefined, queue: string): Promise<number> =>
  ((await inspector?.peek({ queue, status: 'leased', limit: 100 })) ?? []).length;

describe('a queue with a limit', () => {
  it('never has more running, and nothing of it is held that cannot start', async () => {
    const queue = queueUnderTest({
      worker: { concurrency: 6, queues: ['reports', 'default'], queueConcurrency: { reports: 2 } },
    });
    const { inspector } = queue.stores;
    let [running, most, mostLeased, ended, others] = [0, 0, 0, 0, 0];
    const gates = Array.from({ length: 10 }, () => deferred());
    queue.task('report', async (number: number) => {
      most = Math.max(most, (running += 1));
      mostLeased = Math.max(mostLeased, await leased(inspector, 'reports'));
      await gates[number]?.promise;
      running -= 1;
      ended += 1;
    });
    queue.task('other', () => void (others += 1));
    for (let number = 0; number < 10; number += 1) await queue.send('report', [number], { queue: 'reports' });
    await queue.work();
    await eventually(() => expect(running).toBe(2));
    for (let number = 0; number < 50; number += 1) await queue.send('other');
    // They go past the queue that is before them.
    await eventually(() => expect(others).toBe(50));
    expect([running, await leased(inspector, 'reports')]).toEqual([2, 2]);
    for (const gate of gates) gate.resolve();
    await eventually(() => expect(ended).toBe(10));
    expect([most, mostLeased]).toEqual([2, 2]);
  });

  it('is taken from again as soon as there is room, though the worker waits for others', async () => {
    const queue = queueUnderTest({
      worker: { concurrency: 4, queues: ['reports', 'default'], queueConcurrency: { reports: 1 } },
    });
    const gate = deferred();
    const ran: number[] = [];
    queue.task('report', async (number: number) => {
      if (number === 0) await gate.promise;
      ran.push(number);
    });
    await queue.work();
    await queue.send('report', [0], { queue: 'reports' });
    await queue.send('report', [1], { queue: 'reports' });
    await eventually(async () => expect(await leased(queue.stores.inspector, 'reports')).toBe(1));
    gate.resolve();
    // A request waits for five seconds; the one that names this queue does not come after it.
    await eventually(() => expect(ran).toEqual([0, 1]), 2_000);
  });
});

describe('a queue with a limit that is full of what is given back', () => {
  it('is taken from again when that is done', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 2, queueConcurrency: { default: 1 } } });
    let ran = 0;
    queue.task('limited', () => void (ran += 1), { rateLimit: '2/s' });
    const first = await queue.send('limited');
    await queue.send('limited');
    const worker = await queue.work();
    await first.get({ timeout: '5s' });
    // The second one is parked, and the only one that may be here.
    await eventually(async () => expect(await leased(queue.stores.inspector, 'default')).toBe(1));
    worker.pause();
    worker.resume();
    await eventually(() => expect(ran).toBe(2), 4_000);
  });
});

describe('weighted queues', () => {
  it('get their shares', async () => {
    const queue = queueUnderTest({
      worker: { concurrency: 1, queues: ['a', 'b'], queueOrder: 'weighted', queueWeights: { a: 3 } },
    });
    const order: string[] = [];
    // So long that the worker does not look far ahead: a batch is of one queue.
    queue.task('work', (name: string) => {
      order.push(name);
      return systemClock.sleep(5);
    });
    for (let one = 0; one < 40; one += 1) {
      await queue.send('work', ['a'], { queue: 'a' });
      await queue.send('work', ['b'], { queue: 'b' });
    }
    await queue.work();
    await eventually(() => expect(order.length).toBe(80));
    const first = order.slice(0, 40);
    expect(first.filter((name) => name === 'a').length).toBeGreaterThanOrEqual(27);
    expect(first.filter((name) => name === 'b').length).toBeGreaterThanOrEqual(7);
  });

  it('are strict unless that is said: the later one waits for the earlier', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 1, queues: ['a', 'b'] } });
    const order: string[] = [];
    queue.task('work', (name: string) => void order.push(name));
    for (let one = 0; one < 20; one += 1) {
      await queue.send('work', ['b'], { queue: 'b' });
      await queue.send('work', ['a'], { queue: 'a' });
    }
    await queue.work();
    await eventually(() => expect(order.length).toBe(40));
    expect(order.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 'a'));
  });
});

describe('a task with a rate', () => {
  it('that has to wait has no slot, holds up nobody, and is not held', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 1 } });
    let [slow, free] = [0, 0];
    queue.task('slow', () => void (slow += 1), { rateLimit: '1/m' });
    queue.task('free', () => void (free += 1));
    for (let one = 0; one < 10; one += 1) await queue.send('slow');
    for (let one = 0; one < 30; one += 1) await queue.send('free');
    await queue.work();
    await eventually(() => expect([slow, free]).toEqual([1, 30]));
    await eventually(async () => {
      const [facts] = (await queue.stores.inspector?.queues()) ?? [];
      expect(facts).toMatchObject({ ready: 0, leased: 0, delayed: 9 });
    });
  });

  it('starts within its rate, each once', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 10 } });
    const starts: number[] = [];
    queue.task('limited', () => void starts.push(performance.now()), { rateLimit: '20/s' });
    await queue.work();
    for (let one = 0; one < 25; one += 1) await queue.send('limited');
    await eventually(() => expect(starts.length).toBe(25), 10_000);
    const gaps = starts.slice(1).map((start, index) => start - (starts[index] as number));
    // Timers of the machine may be late, and then the next one is not early for it.
    expect(Math.min(...gaps)).toBeGreaterThan(35);
    expect((starts.at(-1) as number) - (starts[0] as number)).toBeGreaterThanOrEqual(1_190);
  });

  it('of the cluster, with two workers, starts within it', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 5 } });
    const starts: number[] = [];
    queue.task('limited', () => void starts.push(performance.now()), { rateLimit: { limit: '5/s', scope: 'cluster' } });
    for (let one = 0; one < 12; one += 1) await queue.send('limited');
    await queue.work({ name: 'one' });
    await queue.work({ name: 'two' });
    await eventually(() => expect(starts.length).toBe(12), 20_000);
    for (const start of starts) {
      // A start comes a moment after its permit.
      expect(starts.filter((one) => one >= start && one < start + 980).length).toBeLessThanOrEqual(5);
    }
  });

  it('that is paused, or stopped, while it is parked goes back to its queue', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 4 } });
    let ran = 0;
    queue.task('limited', () => void (ran += 1), { rateLimit: '2/s' });
    const worker = await queue.work();
    for (let one = 0; one < 3; one += 1) await queue.send('limited');
    await eventually(() => expect(ran).toBe(1));
    worker.pause();
    await eventually(async () => expect(await leased(queue.stores.inspector, 'default')).toBe(0), 300);
    await worker.stop({ graceMs: 0 });
    const [facts] = (await queue.stores.inspector?.queues()) ?? [];
    expect((facts?.ready ?? 0) + (facts?.delayed ?? 0) + ran).toBe(3);
    expect(facts?.leased).toBe(0);
  });

  it('is refused where it is none', () => {
    const queue = queueUnderTest();
    expect(() => queue.task('bad', () => undefined, { rateLimit: 'often' })).toThrow(
      /rateLimit: expected a rate such as/,
    );
  });
});

describe('a pool that scales itself', () => {
  it('grows within about a second of a backlog, within its range', async () => {
    const queue = queueUnderTest({ worker: { autoscale: { max: 5, min: 2 } } });
    const gate = deferred();
    queue.task('hold', () => gate.promise);
    const worker = await queue.work();
    expect(worker.status().concurrency).toBe(2);
    for (let one = 0; one < 4; one += 1) await queue.send('hold');
    const began = performance.now();
    await eventually(() => expect(worker.status().active).toBe(4), 3_000);
    expect(performance.now() - began).toBeLessThan(1_500);
    for (let one = 0; one < 9; one += 1) await queue.send('hold');
    await eventually(() => expect(worker.status()).toMatchObject({ concurrency: 5, active: 5 }), 3_000);
    gate.resolve();
  });

  it.each([
    [{ pool: 'solo', autoscale: '4,1' }, 'worker.autoscale: expected none with the pool solo'],
    [{ autoscale: '4,8' }, 'worker.autoscale: expected { max, min }'],
    [{ autoscale: '8,4', concurrency: 2 }, 'worker.concurrency: expected 4 to 8'],
    [{ queueWeights: { a: 2 } }, 'worker.queueWeights: expected none in the strict order'],
    [{ queueConcurrency: { a: 0 } }, 'worker.queueConcurrency.a: expected at least 1'],
    [{ queueConcurrency: { 'not a queue': 1 } }, 'worker.queueConcurrency'],
    [{ controlSecret: 'short' }, 'worker.controlSecret: expected at least 16 characters, got "(hidden)"'],
  ])('is refused where it cannot be: %j', (worker, problem) => {
    expect(() => validateSettings({ worker: worker as never })).toThrow(problem);
  });
});
