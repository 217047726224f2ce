import { silentLogger } from '@taskqueue/core';
import type { Consumer, Delivery, Driver } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../../src/index.js';
import type { TestDatabase } from '../databases.js';
import { testDatabases } from '../databases.js';
import { outgoing } from '../../../../test/support/outgoing.js';

for (const [name, open] of await testDatabases()) {
  describe(`a consumer on ${name} that has come far in the line`, () => {
    let database: TestDatabase;
    let driver: Driver;
    let queues = 0;

    beforeAll(async () => {
      database = await open();
      driver = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
    });

    afterAll(async () => {
      await driver.close();
      await database.dispose();
    });

    const consume = async (queue: string): Promise<Consumer> =>
      (await driver.broker?.consume({ queues: [queue], consumerId: 'c', leaseMs: 30_000 })) as Consumer;
    const take = (consumer: Consumer): Promise<readonly Delivery[]> =>
      consumer.receive({ max: 1, signal: AbortSignal.timeout(10_000) });
    const ids = (deliveries: readonly Delivery[]): unknown[] => deliveries.map(({ message }) => message.headers['id']);
    const queue = (): string => `line-${(queues += 1)}`;

    it('takes what is more urgent first, whenever it comes', async () => {
      const line = queue();
      const consumer = await consume(line);
      await driver.broker?.publish([1, 2, 3].map(() => outgoing(line, { priority: 3 })));
      await take(consumer);
      const urgent = outgoing(line, { priority: 9 });
      await driver.broker?.publish([urgent]);
      expect(ids(await take(consumer))).toEqual([urgent.id]);
    });

    it('takes again what it gave back itself, at its place', async () => {
      const line = queue();
      const consumer = await consume(line);
      const messages = [outgoing(line), outgoing(line), outgoing(line)];
      await driver.broker?.publish(messages);
      const [first] = await take(consumer);
      await take(consumer);
      await consumer.settle([{ kind: 'release', delivery: first as Delivery }]);
      expect(ids(await take(consumer))).toEqual([messages[0]?.id]);
    });

    it('finds what another consumer gave back, and what fell due late', async () => {
      const line = queue();
      const [other, consumer] = [await consume(line), await consume(line)];
      const late = outgoing(line, { delayMs: 300 });
      const given = outgoing(line);
      await driver.broker?.publish([late, given]);
      expect(ids(await take(other))).toEqual([given.id]);
      const next = outgoing(line);
      await driver.broker?.publish([next]);
      expect(ids(await take(consumer))).toEqual([next.id]);
      await other.close();
      const seen = [...ids(await take(consumer)), ...ids(await take(consumer))];
      expect(new Set(seen)).toEqual(new Set([given.id, late.id]));
    });
  });
}
