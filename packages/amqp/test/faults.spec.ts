import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { amqpUrl } from './broker-url.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const newQueue = (): string => `f-${randomUUID().slice(0, 13)}`;

describe.skipIf(amqpUrl === undefined)('a broken link', () => {
  const unhandled: unknown[] = [];
  const remember = (error: unknown): void => void unhandled.push(error);
  let direct: OpenedDriver;

  beforeAll(async () => {
    process.on('unhandledRejection', remember);
    direct = await openDriver({ url: amqpUrl as string });
  });
  afterAll(async () => {
    process.off('unhandledRejection', remember);
    await direct.dispose();
    expect(unhandled).toEqual([]);
  });

  /** A driver behind a proxy of its own; queues are removed by the direct one. */
  const proxied = async (
    body: (context: { proxy: FaultProxy; opened: OpenedDriver; queue: string }) => Promise<void>,
    options: { heartbeatSeconds?: number; confirmTimeoutMs?: number } = {},
  ): Promise<void> => {
    const url = new URL(amqpUrl as string);
    const proxy = await FaultProxy.open({ host: url.hostname, port: Number(url.port || 5_672) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const queue = newQueue();
    await direct.broker.declare([{ name: queue }]);
    const opened = await openDriver({ url: url.href, ...options });
    try {
      await body({ proxy, opened, queue });
    } finally {
      proxy.resume();
      await proxy.accept();
      await opened.driver.close();
      await proxy.close();
    }
  };

  it('that is reset: what was held is lost, comes back unblamed, and a waiting worker goes on', async () => {
    await proxied(async ({ proxy, opened, queue }) => {
      const consumer = await opened.consume([queue]);
      const held = outgoing(queue);
      await direct.broker.publish([held]);
      const [delivery] = await take(consumer, 1);
      expect(await consumer.extend([delivery!], 1)).toEqual(['extended']);
      proxy.cut();
      await eventually(async () => expect(await consumer.extend([delivery!], 1)).toEqual(['lost']));
      expect(await consumer.settle([ack(delivery!)])).toEqual(['lost']);
      expect(
        await consumer.settle([{ kind: 'replace', delivery: delivery!, message: outgoing(queue, { id: held.id }) }]),
      ).toEqual(['lost']);
      const [again] = await take(consumer, 1, 20_000);
      expect([idOf(again), again?.run, again?.lostLeases, again?.redelivered]).toEqual([held.id, 2, 0, true]);
      // The first time nobody is blamed in any case.
      proxy.cut();
      await eventually(async () => expect(await consumer.extend([again!], 1)).toEqual(['lost']));
      const [third] = await take(consumer, 1, 20_000);
      expect([idOf(third), third?.run, third?.lostLeases]).toEqual([held.id, 3, 0]);
      expect(await consumer.settle([ack(third!)])).toEqual(['settled']);
      expect(opened.log.join()).toContain('was lost');
    });
  });

  it('that is reset again and again loses nothing', async () => {
    await proxied(async ({ proxy, opened, queue }) => {
      const sent = Array.from({ length: 200 }, () => outgoing(queue));
      await direct.broker.publish(sent);
      const consumer = await opened.consume([queue]);
      const seen = new Set<unknown>();
      for (let round = 0; seen.size < sent.length; round += 1) {
        const deliveries = await consumer.receive({ max: 20, signal: AbortSignal.timeout(2_000) }).catch(() => []);
        if (round % 4 === 1) proxy.cut();
        const outcomes = await consumer.settle(deliveries.map(ack));
        outcomes.forEach((outcome, index) => outcome === 'settled' && seen.add(idOf(deliveries[index])));
      }
      expect(seen.size).toBe(200);
    });
  });

  it('while a message is published: unknown, or accepted, and never a hang', async () => {
    await proxied(async ({ proxy, opened, queue }) => {
      await opened.broker.publish([outgoing(queue)]);
      const lost = proxy.loseReply(queue);
      const [outcome] = await opened.broker.publish([outgoing(queue)]);
      await lost;
      expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'BROKER_UNAVAILABLE', retryable: true } });
      await eventually(async () => {
        const [next] = await opened.broker.publish([outgoing(queue)]);
        expect(next?.status).toBe('accepted');
      });
    });
  });

  it('that is down refuses messages within seconds, and takes them when it is back', async () => {
    await proxied(async ({ proxy, opened, queue }) => {
      await opened.broker.publish([outgoing(queue)]);
      await proxy.refuse();
      proxy.cut();
      const outcome = await eventually(async () => {
        const [one] = await opened.broker.publish([outgoing(queue)]);
        expect(one?.status).toBe('refused');
        return one;
      });
      expect(outcome).toMatchObject({ error: { code: 'BROKER_UNAVAILABLE' } });
      await proxy.accept();
      await eventually(async () => {
        const [one] = await opened.broker.publish([outgoing(queue)]);
        expect(one?.status).toBe('accepted');
      });
    });
  });

  it('that is silent is given up by the heartbeat, without a crash, and everything goes on', async () => {
    await proxied(
      async ({ proxy, opened, queue }) => {
        const consumer = await opened.consume([queue]);
        await opened.broker.publish([outgoing(queue)]);
        const [delivery] = await take(consumer, 1);
        const before = proxy.connections.length;
        proxy.silence();
        const [outcome] = await opened.broker.publish([outgoing(queue)]);
        expect(outcome?.status).toBe('unknown');
        await eventually(async () => expect(await consumer.extend([delivery!], 1)).toEqual(['lost']), 15_000);
        proxy.cut();
        proxy.resume();
        const started = performance.now();
        expect((await take(consumer, 1, 20_000)).length).toBe(1);
        expect(performance.now() - started).toBeLessThan(20_000);
        expect(before).toBe(2);
      },
      { heartbeatSeconds: 1 },
    );
  });

  it('that a handler keeps silent by blocking the event loop stands for twice the heartbeat, from the start of the handler', async () => {
    const opened = await openDriver({ url: amqpUrl as string, heartbeatSeconds: 2 });
    const queue = newQueue();
    const consumer = await opened.consume([queue]);
    // Begun at any time since the last heartbeat.
    for (const idleMs of [200, 900, 1_500]) {
      const coming = take(consumer, 1);
      const since = performance.now();
      await eventually(() => expect(performance.now() - since).toBeGreaterThan(idleMs));
      await direct.broker.publish([outgoing(queue)]);
      const [delivery] = await coming;
      const until = performance.now() + 3_500;
      while (performance.now() < until);
      expect(await consumer.extend([delivery!], 1)).toEqual(['extended']);
      expect(await consumer.settle([ack(delivery!)])).toEqual(['settled']);
    }
    await opened.dispose();
  });

  it('that does not confirm is not waited for without end', async () => {
    await proxied(
      async ({ proxy, opened, queue }) => {
        await opened.broker.publish([outgoing(queue)]);
        proxy.silence('to-client');
        const [outcome] = await opened.broker.publish([outgoing(queue)]);
        expect(outcome).toMatchObject({
          status: 'unknown',
          error: { message: expect.stringContaining('600 ms') as string },
        });
      },
      { confirmTimeoutMs: 600 },
    );
  });

  it('that does not confirm yet keeps what is sent anew from being handed out: the old one is still there', async () => {
    await proxied(async ({ proxy, opened, queue }) => {
      const sent = outgoing(queue);
      await direct.broker.publish([sent]);
      const admin = await connect(amqpUrl as string);
      const channel = await admin.createChannel();
      // As from a process that died.
      const held = await channel.get(queue);
      if (held !== false) channel.nack(held, false, true);
      const consumer = await opened.consume([queue]);
      const others = newQueue();
      await direct.broker.declare([{ name: others }]);
      await opened.broker.publish([outgoing(others)]);
      const publishing = proxy.connections[1];
      publishing?.silence('to-client');
      expect(await consumer.receive({ max: 1, signal: AbortSignal.timeout(500) })).toEqual([]);
      publishing?.resume();
      const [delivery] = await take(consumer, 1);
      expect(idOf(delivery)).toBe(sent.id);
      await opened.driver.close();
      // A task that killed its process now would come back once.
      await eventually(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(1));
      await admin.close();
    });
  });

  it.each(['one queue', 'two queues'])(
    'or a queue deleted under a worker of %s: it is declared and consumed again',
    async (which) => {
      await proxied(async ({ opened, queue }) => {
        const queues = which === 'one queue' ? [queue] : [newQueue(), queue];
        const consumer = await opened.consume(queues);
        const waiting = take(consumer, 1, 20_000);
        const admin = await connect(amqpUrl as string);
        const channel = await admin.createChannel();
        await eventually(async () => expect((await channel.checkQueue(queue)).consumerCount).toBe(1));
        await channel.deleteQueue(queue);
        const sent = outgoing(queue);
        await direct.broker.publish([sent]);
        const [delivery] = await waiting;
        expect(idOf(delivery)).toBe(sent.id);
        await consumer.settle([ack(delivery!)]);
        for (const one of queues) {
          await channel.deleteQueue(one);
          await channel.deleteExchange(one);
        }
        await admin.close();
      });
    },
  );

  it('or a queue declared with other arguments by somebody else keeps its worker from no other queue, and is said', async () => {
    const opened = await openDriver({ url: amqpUrl as string });
    const [theirs, ours] = [newQueue(), newQueue()];
    const consumer = await opened.consume([theirs, ours]);
    const waiting = take(consumer, 1, 20_000);
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    await eventually(async () => expect((await channel.checkQueue(theirs)).consumerCount).toBe(1));
    await channel.deleteQueue(theirs);
    // Before its worker declares it again: on one channel, one after the other.
    await channel.assertQueue(theirs, { durable: true, arguments: { 'x-max-length': 5_000 } });
    await eventually(() => expect(opened.log.join()).toMatch(/Nothing is taken.*QUEUE_MISMATCH.*x-max-length/));
    const sent = outgoing(ours);
    await direct.broker.publish([sent]);
    const deliveries = await waiting;
    expect(deliveries.map(idOf)).toEqual([sent.id]);
    await consumer.settle(deliveries.map(ack));
    await channel.deleteQueue(theirs);
    const again = outgoing(theirs);
    const [later] = await Promise.all([take(consumer, 1, 25_000), direct.broker.publish([again])]);
    expect(later.map(idOf)).toEqual([again.id]);
    await consumer.settle(later.map(ack));
    expect(opened.log.filter((line) => line.includes('Nothing is taken'))).toHaveLength(1);
    for (const one of [theirs, ours]) {
      await channel.deleteQueue(one);
      await channel.deleteExchange(one);
    }
    await admin.close();
    await opened.driver.close();
  }, 60_000);
});
