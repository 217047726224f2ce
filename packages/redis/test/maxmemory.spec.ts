import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisIsInstalled, RedisServer } from '../../../test/support/redis-server.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const BIG = new TextEncoder().encode(JSON.stringify([['x'.repeat(20_000)], {}, {}]));

describe.skipIf(!redisIsInstalled)('a server at its maxmemory', () => {
  let server: RedisServer;
  let admin: Redis;
  let opened: OpenedDriver;

  beforeAll(async () => {
    server = await RedisServer.create(['--maxmemory', '32mb', '--maxmemory-policy', 'noeviction']);
    admin = new Redis(server.port);
    opened = await openDriver({ url: server.url });
  });

  afterAll(async () => {
    await opened.driver.close();
    admin.disconnect();
    await server.remove();
  });

  /** Nothing can be added any more, not even a byte. */
  const full = async (): Promise<void> => {
    await admin.config('SET', 'maxmemory', 1_000_000);
    await expect(admin.set(`probe-${randomUUID()}`, 'x')).rejects.toThrow('OOM');
  };
  const relieve = (): Promise<unknown> => admin.config('SET', 'maxmemory', '32mb');

  it('refuses publications clearly, and drains itself', async () => {
    const queue = `q-${randomUUID()}`;
    const message = (): ReturnType<typeof outgoing> => {
      const base = outgoing(queue);
      return { ...base, message: { ...base.message, body: BIG } };
    };
    await opened.broker.declare([{ name: queue }]);
    let accepted = 0;
    for (;;) {
      const [outcome] = await opened.broker.publish([message()]);
      if (outcome?.status !== 'accepted') {
        expect(outcome).toMatchObject({ status: 'refused', error: { code: 'BROKER_UNAVAILABLE', retryable: true } });
        expect(String(outcome && 'error' in outcome && outcome.error)).toContain('memory');
        break;
      }
      accepted += 1;
    }
    expect(accepted).toBeGreaterThan(100);
    const consumer = await opened.consume([queue]);
    let drained = 0;
    while (drained < accepted) {
      const deliveries = await take(consumer, 1);
      drained += deliveries.length;
      expect(await consumer.settle(deliveries.map(ack))).toEqual(deliveries.map(() => 'settled'));
    }
    expect((await opened.broker.publish([message()]))[0]?.status).toBe('accepted');
    await consumer.close();
  });

  it('lets leases be taken, renewed, settled in every way, recovered and given back', async () => {
    const queue = `q-${randomUUID()}`;
    const messages = Array.from({ length: 7 }, () => outgoing(queue));
    await opened.broker.publish([...messages, outgoing(queue, { delayMs: 1 })]);
    await full();
    try {
      const consumer = await opened.consume([queue]);
      const deliveries = await take(consumer, 8);
      expect(await consumer.extend(deliveries, 30_000)).toEqual(deliveries.map(() => 'extended'));
      const [first, second, third, fourth, fifth, ...rest] = deliveries as [never, never, never, never, never];
      const result = { taskId: randomUUID(), state: 'SUCCESS' as const, name: 't', run: 1, attempts: 1 };
      const outcomes = await consumer.settle([
        ack(first),
        { kind: 'ack', delivery: second, effects: { results: [result], publish: [outgoing(queue)] } },
        { kind: 'release', delivery: third },
        { kind: 'replace', delivery: fourth, message: outgoing(queue, { id: String(idOf(fourth)), delayMs: 60_000 }) },
        { kind: 'dead-letter', delivery: fifth, reason: 'because' },
      ]);
      expect(outcomes).toEqual(['settled', 'settled', 'settled', 'settled', 'settled']);
      expect((await opened.results.get([result.taskId]))[0]?.state).toBe('SUCCESS');
      expect(rest).toHaveLength(3);
      await consumer.close();
      const [facts] = (await opened.inspector.queues()).filter((one) => one.name === queue);
      expect(facts).toMatchObject({ ready: 5, leased: 0, delayed: 1, dead: 1 });
      const victim = await opened.consume([queue], 50);
      await take(victim, 1);
      await expect.poll(() => opened.broker.recover?.()).toEqual({ recovered: 1 });
      await opened.inspector.pause(queue);
      await opened.inspector.resume(queue);
    } finally {
      await relieve();
    }
  });
});
