import { randomUUID } from 'node:crypto';
import type { Consumer } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNamespace, redisUrl } from './namespace.js';
import type { Namespace } from './namespace.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

describe.skipIf(redisUrl === undefined)('delayed messages', () => {
  let space: Namespace;
  let producer: OpenedDriver;
  let workers: OpenedDriver[];

  beforeAll(async () => {
    space = createNamespace();
    producer = await openDriver({ url: space.url });
    workers = await Promise.all([openDriver({ url: space.url }), openDriver({ url: space.url })]);
  });

  afterAll(async () => {
    await Promise.all([producer, ...workers].map((one) => one.driver.close()));
    await space.dispose();
  });

  it('that fall due one after another are handed out once each, and on time', async () => {
    const queue = `q-${randomUUID()}`;
    const [count, spread] = [2_000, 1_000];
    const first = Date.now() + 1_500;
    const messages = Array.from({ length: count }, (_, index) => {
      const eta = first + Math.floor((index * spread) / count);
      const base = outgoing(queue, { eta });
      return { ...base, message: { ...base.message, headers: { ...base.message.headers, due: eta } } };
    });
    await producer.broker.publish(messages);
    const consumers = await Promise.all(workers.map((one) => one.consume([queue])));
    const seen: string[] = [];
    const late: number[] = [];
    const work = async (consumer: Consumer): Promise<void> => {
      const signal = AbortSignal.timeout(20_000);
      while (seen.length < count && !signal.aborted) {
        const soon = AbortSignal.any([signal, AbortSignal.timeout(500)]);
        const deliveries = await consumer.receive({ max: 100, signal: soon });
        for (const one of deliveries) {
          seen.push(String(idOf(one)));
          late.push(Date.now() - Number(one.message.headers['due']));
        }
        await consumer.settle(deliveries.map(ack));
      }
    };
    await Promise.all(consumers.map(work));
    expect(seen.sort()).toEqual(messages.map((one) => one.id).sort());
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThanOrEqual(-5);
    // On a machine that does other things as well; alone it is a few milliseconds.
    expect(late[Math.floor(count * 0.99)]).toBeLessThan(300);
  });

  it('wait in the server: a million of them are nothing to a worker, and each list is its own again', async () => {
    const queue = `q-${randomUUID()}`;
    const [low, high] = [outgoing(queue, { delayMs: 200 }), outgoing(queue, { delayMs: 200, priority: 9 })];
    await producer.broker.publish([low, high, outgoing(queue, { delayMs: 3_600_000 })]);
    const consumer = await (workers[0] as OpenedDriver).consume([queue]);
    const taken = await take(consumer, 2);
    expect(taken.map(idOf)).toEqual([high.id, low.id]);
    expect(taken.map((one) => one.run)).toEqual([1, 1]);
    await consumer.settle(taken.map(ack));
  });

  it('are made ready by their sender where nobody of ours consumes', async () => {
    const queue = `q-${randomUUID()}`;
    const list = `${space.prefix}${queue}`;
    // Again, because the first one sent to a queue makes its sender look there anyway.
    for (let round = 0; round < 2; round += 1) {
      await producer.broker.publish([outgoing(queue, { delayMs: 150 })]);
      expect(await space.client.llen(list)).toBe(0);
      const popped = await space.client.brpop(list, 3);
      expect(popped?.[0]).toBe(list);
    }
  });

  it('are known by their id while they wait, and when they have become ready', async () => {
    const queue = `q-${randomUUID()}`;
    const message = outgoing(queue, { delayMs: 300 });
    const again = async (): Promise<string | undefined> => (await producer.broker.publish([message]))[0]?.status;
    expect(await again()).toBe('accepted');
    expect(await again()).toBe('duplicate');
    expect((await producer.broker.publish([outgoing(queue, { id: message.id })]))[0]?.status).toBe('duplicate');
    const consumer = await (workers[0] as OpenedDriver).consume([queue]);
    const [delivery] = await take(consumer, 1);
    expect(await again()).toBe('duplicate');
    await consumer.settle([{ kind: 'dead-letter', delivery: delivery as never, reason: 'x' }]);
    expect(await again()).toBe('duplicate');
    await producer.inspector.redrive([message.id]);
    await consumer.settle((await take(consumer, 1)).map(ack));
    expect(await again()).toBe('accepted');
  });
});
