import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import { eventually } from '../../src/testing/eventually.js';
import { FaultyDriver } from '../../src/testing/faulty-driver.js';
import { queuesUnderTest } from './worker-under-test.js';

const queueUnderTest = queuesUnderTest();

describe('while a store is asked whether a task may run, a worker', () => {
  it('keeps a slot for it: no more run at once than its concurrency', async () => {
    const driver = new FaultyDriver(memoryDriver());
    const queue = queueUnderTest({ worker: { concurrency: 2 } }, driver);
    let [running, most, ended] = [0, 0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      ended += 1;
    };
    queue.task('early', work, { ack: 'early' });
    queue.task('late', work);
    for (let one = 0; one < 30; one += 1) {
      await queue.send('early');
      await queue.send('late');
      await queue.send('late', [], { expires: new Date(0) });
    }
    driver.slow('20ms');
    await queue.work();
    await eventually(() => expect(ended).toBe(60), 10_000);
    expect(most).toBe(2);
  });

  it('that stops waits for it as for those that run', async () => {
    const driver = new FaultyDriver(memoryDriver());
    const queue = queueUnderTest({}, driver);
    const [begun, mayEnd] = [deferred(), deferred()];
    const order: string[] = [];
    const work = async (): Promise<void> => {
      begun.resolve();
      await mayEnd.promise;
      order.push('ended');
    };
    queue.task('early', work, { ack: 'early' });
    const worker = await queue.work();
    driver.down(['consumer.settle']);
    await queue.send('early');
    await eventually(async () => {
      const [facts] = (await queue.stores.inspector?.queues()) ?? [];
      expect([facts?.leased, worker.status().buffered]).toEqual([1, 0]);
    });
    const stopped = worker.stop({ graceMs: 10_000 }).then(() => order.push('stopped'));
    driver.up();
    await begun.promise;
    mayEnd.resolve();
    await stopped;
    expect(order).toEqual(['ended', 'stopped']);
  });

  it('whose grace is over does not start it, and says so', async () => {
    const driver = new FaultyDriver(memoryDriver());
    const queue = queueUnderTest({}, driver);
    let ran = 0;
    queue.task('early', () => void (ran += 1), { ack: 'early' });
    const worker = await queue.work();
    const handle = await queue.send('early');
    driver.slow('600ms');
    await worker.stop({ graceMs: 1_000 });
    driver.slow(0);
    await eventually(async () => expect(await handle.state()).toBe('FAILURE'));
    expect((await handle.record())?.failure).toMatchObject({ code: 'WORKER_LOST' });
    expect(ran).toBe(0);
  });
});

describe('a worker whose broker is away', () => {
  it('stops within its grace, also with deliveries that it cannot give back', async () => {
    const driver = new FaultyDriver(memoryDriver());
    const queue = queueUnderTest({ worker: { concurrency: 2 } }, driver);
    let ran = 0;
    queue.task('limited', () => void (ran += 1), { rateLimit: '2/s' });
    for (let one = 0; one < 3; one += 1) await queue.send('limited');
    const worker = await queue.work();
    await eventually(() => expect(ran).toBe(1));
    driver.down();
    const began = performance.now();
    await worker.stop({ graceMs: 400 });
    expect(performance.now() - began).toBeLessThan(4_000);
    driver.up();
  });

  it('and that is told to stop a second time waits no longer', async () => {
    const driver = new FaultyDriver(memoryDriver());
    const queue = queueUnderTest({ worker: { concurrency: 2 } }, driver);
    const ran = deferred();
    queue.task('limited', () => ran.resolve(), { rateLimit: '2/s' });
    for (let one = 0; one < 3; one += 1) await queue.send('limited');
    const worker = await queue.work();
    await ran.promise;
    driver.down(['consumer.settle']);
    const began = performance.now();
    void worker.stop({ graceMs: 60_000 });
    await worker.stop();
    expect(performance.now() - began).toBeLessThan(8_000);
    driver.up();
  });
});
