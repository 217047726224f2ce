import { Worker } from 'node:worker_threads';
import { silentLogger } from '@taskqueue/core';
import type { Consumer, Driver } from '@taskqueue/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { createNamespace, redisUrl } from './namespace.js';
import type { Namespace } from './namespace.js';
import { openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const LEASE_MS = 1_000;

/** Loads the module that the consumer names, and renews in a thread until it is told to stop; as core's lease thread does. */
const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads');
  (async () => {
    const { keepAlive } = await import(workerData.module);
    const loop = await keepAlive(workerData.data);
    const renew = async () => {
      parentPort.postMessage(await loop.renew(workerData.leaseMs));
      Atomics.add(workerData.renewals, 0, 1);
      Atomics.notify(workerData.renewals, 0);
    };
    await renew();
    const timer = setInterval(renew, workerData.leaseMs / 3);
    parentPort.once('message', async () => { clearInterval(timer); await loop.close(); process.exit(); });
  })();
`;

/**
 * Blocks this thread for so long, and then until the other one has renewed once more: it may have had to wait for a
 * processor for longer than a lease.
 */
function blockFor(ms: number, renewals: Int32Array): void {
  const until = performance.now() + ms;
  for (let left = ms; left > 0; left = until - performance.now()) {
    Atomics.wait(renewals, 0, Atomics.load(renewals, 0), left);
  }
  Atomics.wait(renewals, 0, Atomics.load(renewals, 0), ms);
}

describe.skipIf(redisUrl === undefined)('the keep-alive thread', () => {
  let space: Namespace;
  let driver: Driver;
  let consumer: Consumer;

  beforeEach(async () => {
    space = createNamespace();
    driver = createDriver(space.url);
    await driver.connect({ logger: silentLogger });
    await driver.broker?.publish([outgoing('q'), outgoing('p')]);
    consumer = (await driver.broker?.consume({ queues: ['q', 'p'], consumerId: 'c', leaseMs: LEASE_MS })) as Consumer;
  });

  afterEach(async () => {
    await driver.close();
    await space.dispose();
  });

  const startThread = (renewals = new Int32Array(new SharedArrayBuffer(4))): Worker =>
    new Worker(THREAD, {
      eval: true,
      workerData: { ...consumer.keepAlive, leaseMs: LEASE_MS, renewals },
      execArgv: [],
    });
  const stop = async (thread: Worker): Promise<void> => {
    const exited = new Promise((resolve) => thread.once('exit', resolve));
    thread.postMessage('stop');
    await exited;
  };
  const next = (thread: Worker): Promise<unknown> => new Promise((resolve) => thread.once('message', resolve));

  it('keeps the leases of a consumer whose main thread is blocked', async () => {
    expect(consumer.keepAlive).toBeUndefined();
    const deliveries = await take(consumer, 2);
    const renewals = new Int32Array(new SharedArrayBuffer(4));
    const thread = startThread(renewals);
    expect(await next(thread)).toBe(true);
    blockFor(3 * LEASE_MS, renewals);
    expect(await driver.broker?.recover?.()).toEqual({ recovered: 0 });
    expect(await consumer.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery })))).toEqual([
      'settled',
      'settled',
    ]);
    await stop(thread);
  });

  it('learns that the leases are lost, and a consumer that goes on names it anew', async () => {
    await take(consumer, 2);
    const before = consumer.keepAlive;
    expect(consumer.keepAlive).toBe(before);
    const peer = await openDriver({ url: space.url });
    // Each queue's lease ends by itself, so they may be found by different calls.
    let recovered = 0;
    await expect
      .poll(async () => (recovered += (await peer.broker.recover?.())?.recovered ?? 0), { timeout: 10_000 })
      .toBe(2);
    const thread = startThread();
    expect(await next(thread)).toBe(false);
    await stop(thread);
    await peer.broker.publish([outgoing('q')]);
    await take(consumer, 1);
    expect(consumer.keepAlive).not.toBe(before);
    const again = startThread();
    expect(await next(again)).toBe(true);
    await stop(again);
    await peer.driver.close();
  });
});
