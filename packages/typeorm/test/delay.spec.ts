import type { Consumer, Delivery, Driver } from '@taskqueue/core';
import { silentLogger } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { typeormDriver } from '../src/index.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';
import { outgoing } from '../../../test/support/outgoing.js';

/** What nobody tells of is seen only after this. */
const POLL_MS = 20_000;

for (const [name, open] of await testDatabases()) {
  describe(`what a settlement leaves for later on ${name}`, () => {
    let database: TestDatabase;
    let driver: Driver;
    let consumer: Consumer;

    beforeAll(async () => {
      database = await open();
      driver = typeormDriver({ url: database.url, pollMs: POLL_MS });
      await driver.connect({ logger: silentLogger });
      const subscription = { queues: ['q'], consumerId: 'c', leaseMs: 60_000 };
      consumer = (await driver.broker?.consume(subscription)) as Consumer;
    });

    afterAll(async () => {
      await consumer.close();
      await driver.close();
      await database.dispose();
    });

    const receive = async (within: number): Promise<Delivery[]> => {
      const signal = AbortSignal.timeout(within);
      const received: Delivery[] = [];
      while (received.length === 0 && !signal.aborted) received.push(...(await consumer.receive({ max: 1, signal })));
      return received;
    };
    const taken = async (): Promise<Delivery> => {
      await driver.broker?.publish([outgoing('q')]);
      const [delivery] = await receive(5_000);
      if (delivery === undefined) throw new Error('nothing came');
      return delivery;
    };

    it('comes soon after it falls due, a retry', async () => {
      const delivery = await taken();
      const id = String(delivery.message.headers['id']);
      await consumer.settle([{ kind: 'replace', delivery, message: outgoing('q', { id, delayMs: 300 }) }]);
      const [again] = await receive(POLL_MS / 4);
      expect(again?.message.headers['id']).toBe(id);
      await consumer.settle([{ kind: 'ack', delivery: again as Delivery }]);
    });

    it('comes soon after it falls due, a follower', async () => {
      const delivery = await taken();
      const follower = outgoing('q', { delayMs: 300 });
      await consumer.settle([{ kind: 'ack', delivery, effects: { publish: [follower] } }]);
      const [next] = await receive(POLL_MS / 4);
      expect(next?.message.headers['id']).toBe(follower.id);
      await consumer.settle([{ kind: 'ack', delivery: next as Delivery }]);
    });
  });
}
