import { Worker } from 'node:worker_threads';
import { silentLogger } from '@taskqueue/core';
import type { Consumer, Driver } from '@taskqueue/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';
import { outgoing } from '../../../test/support/outgoing.js';

const LEASE_MS = 600;

/** Loads the module that the consumer names, and renews in a thread until `stop`; as core's lease thread does. */
const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads');
  (async () => {
    const { keepAlive } = await import(workerData.module);
    const loop = await keepAlive(workerData.data);
    parentPort.postMessage(await loop.renew(workerData.leaseMs));
    const timer = setInterval(async () => parentPort.postMessage(await loop.renew(workerData.leaseMs)), workerData.leaseMs / 3);
    parentPort.once('message', async () => { clearInterval(timer); await loop.close(); process.exit(); });
  })();
`;

for (const [name, open] of await testDatabases()) {
  describe(`the keep-alive thread on ${name}`, () => {
    let database: TestDatabase;
    let driver: Driver;
    let consumer: Consumer;

    beforeEach(async () => {
      database = await open();
      driver = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
      await driver.broker?.publish([outgoing('q')]);
      consumer = (await driver.broker?.consume({ queues: ['q'], consumerId: 'c', leaseMs: LEASE_MS })) as Consumer;
    });

    afterEach(async () => {
      await driver.close();
      await database.dispose();
    });

    const startThread = (): Worker => {
      const workerData = { ...consumer.keepAlive, leaseMs: LEASE_MS };
      return new Worker(THREAD, { eval: true, workerData, execArgv: [] });
    };
    // Terminating it in the middle of a native call would end the process.
    const stop = async (thread: Worker): Promise<void> => {
      const exited = new Promise((resolve) => thread.once('exit', resolve));
      thread.postMessage('stop');
      await exited;
    };
    const next = (thread: Worker): Promise<unknown> => new Promise((resolve) => thread.once('message', resolve));

    it('keeps the leases of a consumer whose main thread is blocked', async () => {
      expect(consumer.keepAlive).toBeUndefined();
      const [delivery] = await consumer.receive({ max: 1, signal: AbortSignal.timeout(5_000) });
      expect(delivery).toBeDefined();
      const thread = startThread();
      expect(await next(thread)).toBe(true);
      const until = Date.now() + 4 * LEASE_MS;
      while (Date.now() < until);
      expect(await driver.broker?.recover?.()).toEqual({ recovered: 0 });
      expect(await consumer.settle([{ kind: 'ack', delivery: delivery as never }])).toEqual(['settled']);
      await stop(thread);
    });

    it('learns that the leases are lost', async () => {
      await consumer.receive({ max: 1, signal: AbortSignal.timeout(5_000) });
      const before = consumer.keepAlive;
      const thread = startThread();
      expect(await next(thread)).toBe(true);
      await consumer.close();
      let renewed: unknown = true;
      while (renewed === true) renewed = await next(thread);
      expect(renewed).toBe(false);
      await stop(thread);
      expect(before).toBeDefined();
      expect(consumer.keepAlive).toBeUndefined();
    });
  });
}
