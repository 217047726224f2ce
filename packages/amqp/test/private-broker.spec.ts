import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Channel } from 'amqplib';
import { connect } from 'amqplib';
import type { OutgoingMessage } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rabbitmqIsInstalled, RabbitmqServer } from '../../../test/support/rabbitmq-server.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const PAGE = readFileSync(new URL('../../../docs/rabbitmq.md', import.meta.url), 'utf8');
const newQueue = (): string => `b-${randomUUID().slice(0, 13)}`;

// What cannot be done to a server that others use.
describe.skipIf(!rabbitmqIsInstalled)('a broker', { timeout: 120_000 }, () => {
  let server: RabbitmqServer;
  beforeAll(async () => {
    server = await RabbitmqServer.create();
  }, 90_000);
  afterAll(() => server?.remove());

  const withDriver = async (
    options: Parameters<typeof openDriver>[0],
    body: (opened: OpenedDriver) => Promise<void>,
  ): Promise<void> => {
    const opened = await openDriver({ url: server.url, ...options });
    try {
      await body(opened);
    } finally {
      await opened.driver.close();
    }
  };

  const asAdmin = async (body: (channel: Channel) => Promise<unknown>): Promise<void> => {
    const admin = await connect(server.url);
    await body(await admin.createChannel());
    await admin.close();
  };

  /** Waits until publishing is blocked, by the first messages that meet the alarm. */
  const block = async (opened: OpenedDriver, queue: string, short: 'memory' | 'disk' = 'memory'): Promise<void> => {
    if (short === 'memory') await server.control('set_vm_memory_high_watermark', '0.000001');
    else await server.control('set_disk_free_limit', '1000000GB');
    await eventually(async () => {
      void opened.broker.publish([outgoing(queue)]);
      expect(opened.log.join()).toContain('takes no messages');
    }, 30_000);
  };
  const unblock = async (): Promise<void> => {
    await server.control('set_vm_memory_high_watermark', '0.4');
    await server.control('set_disk_free_limit', '50MB');
  };

  it.each(['memory', 'disk'] as const)(
    'that is short of %s refuses messages in time, while workers acknowledge',
    async (short) => {
      await withDriver({ blockedTimeoutMs: 300 }, async (opened) => {
        const queue = newQueue();
        await opened.broker.publish([outgoing(queue), outgoing(queue)]);
        const consumer = await opened.consume([queue]);
        const [first] = await take(consumer, 1);
        await block(opened, queue, short);
        const started = performance.now();
        const [outcome] = await opened.broker.publish([outgoing(queue)]);
        expect(outcome).toMatchObject({ status: 'refused', error: { code: 'BROKER_UNAVAILABLE', retryable: true } });
        expect(outcome && 'error' in outcome && outcome.error.message).toMatch(
          new RegExp(`blocked publishers.*${short}`),
        );
        expect(performance.now() - started).toBeLessThan(2_000);
        const [delayed] = await opened.broker.publish([outgoing(queue, { delayMs: 600_000 })]);
        expect(delayed).toMatchObject({ error: { message: expect.stringContaining('blocked publishers') as string } });
        expect(await consumer.settle([ack(first!)])).toEqual(['settled']);
        const [second] = await take(consumer, 1);
        expect(await consumer.settle([ack(second!)])).toEqual(['settled']);
        // The server has read the acknowledgements: nothing is unacknowledged.
        await eventually(async () => {
          const line = (await server.control('list_queues', 'name', 'messages_unacknowledged'))
            .split('\n')
            .find((one) => one.startsWith(queue));
          expect(line).toMatch(/\t0$/);
        }, 20_000);
        await unblock();
        await eventually(async () => {
          const [one] = await opened.broker.publish([outgoing(queue)]);
          expect(one?.status).toBe('accepted');
        }, 20_000);
      });
    },
  );

  it('that is short of memory keeps a publication waiting until it is not, if so wished', async () => {
    await withDriver({ blockedTimeoutMs: 60_000 }, async (opened) => {
      const queue = newQueue();
      await opened.broker.publish([outgoing(queue)]);
      await block(opened, queue);
      const waiting = opened.broker.publish([outgoing(queue)]);
      await unblock();
      expect((await waiting)[0]?.status).toBe('accepted');
    });
  });

  it('that closes all connections has every worker consume again within twenty seconds', async () => {
    const workers = await Promise.all([1, 2, 3].map(() => openDriver({ url: server.url })));
    await withDriver({}, async ({ broker }) => {
      const queues = workers.map(newQueue);
      const consumers = await Promise.all(workers.map((one, index) => one.consume([queues[index]!])));
      await broker.publish([outgoing(queues[0]!, { delayMs: 600_000 })]);
      const waiting = consumers.map((consumer) => take(consumer, 1, 40_000));
      const began = performance.now();
      await server.control('close_all_connections', 'test');
      await Promise.all(workers.map(({ log }) => eventually(() => expect(log.join()).toContain('was lost'), 20_000)));
      await eventually(async () => {
        const sent = [...queues.map((queue) => outgoing(queue)), outgoing(queues[0]!, { delayMs: 600_000 })];
        for (const outcome of await broker.publish(sent)) expect(outcome.status).toBe('accepted');
      }, 20_000);
      const deliveries = await Promise.all(waiting);
      expect(performance.now() - began).toBeLessThan(20_000);
      await Promise.all(consumers.map((consumer, index) => consumer.settle(deliveries[index]!.map(ack))));
    });
    await Promise.all(workers.map((one) => one.driver.close()));
  });

  // A quorum level keeps what cannot be delivered for three minutes, and tries no more than 32 messages at once.
  it.each([
    ['the queue', false],
    ['the queue and its dead letters', true],
  ])('lets nobody wait for messages that were delayed for a queue that is gone: %s', async (_name, alsoDead) => {
    await withDriver({}, async (opened) => {
      const [gone, other] = [newQueue(), newQueue()];
      const lost = Array.from({ length: 100 }, () => outgoing(gone, { delayMs: 1_000 }));
      for (const outcome of await opened.broker.publish(lost)) expect(outcome).toEqual({ status: 'accepted' });
      await asAdmin(async (channel) => {
        await channel.deleteQueue(gone);
        if (alsoDead) await channel.deleteQueue(`taskqueue.dead.${gone}`);
      });
      const kept = outgoing(other, { delayMs: 2_000 });
      await opened.broker.publish([kept]);
      const [delivery] = await take(await opened.consume([other]), 1, 10_000);
      expect(idOf(delivery)).toBe(kept.id);
      if (alsoDead) return;
      const inspector = opened.driver.inspector!;
      const { messages } = await inspector.deadLetters({ queue: gone, limit: 200 });
      expect(new Set(messages.map(({ id }) => id))).toEqual(new Set(lost.map(({ id }) => id)));
      const [letter] = messages;
      expect(letter).toMatchObject({ queue: gone, reason: 'its queue was deleted while it was delayed' });
      expect(Math.abs((letter?.diedAt ?? 0) - Date.now())).toBeLessThan(20_000);
      expect(await inspector.redrive([letter!.id])).toEqual([letter!.id]);
      const [again] = await take(await opened.consume([gone]), 1);
      expect([idOf(again), again?.lostLeases]).toEqual([letter!.id, 0]);
    });
  });

  it('has the policy of the operations page, by which Python’s delayed messages of deleted queues hold up nothing', async () => {
    const [gone, other] = [newQueue(), newQueue()];
    const line = PAGE.split('\n').find((one) => one.startsWith('rabbitmqctl set_policy')) ?? '';
    const [, name, pattern, definition] = /set_policy (\S+) '([^']+)' '([^']+)' --apply-to exchanges/.exec(line) ?? [];
    await server.control('set_policy', name!, pattern!, definition!, '--apply-to', 'exchanges');
    await withDriver({}, async (opened) => {
      await opened.broker.publish([outgoing(other, { delayMs: 600_000 })]);
      await asAdmin(async (channel) => {
        // As Celery's workers bind their queues, and its clients send.
        await channel.assertExchange(gone, 'topic', { durable: true });
        await channel.assertQueue(gone, { durable: true });
        await channel.bindQueue(gone, gone, `#.${gone}`);
        await channel.bindExchange(gone, 'celery_delayed_delivery', `#.${gone}`);
        for (let one = 0; one < 100; one += 1) {
          channel.publish('celery_delayed_27', `${'0.'.repeat(27)}1.${gone}`, Buffer.from('{}'), { persistent: true });
        }
        await channel.deleteQueue(gone);
        await channel.deleteExchange(gone);
      });
      const kept = outgoing(other, { delayMs: 3_000 });
      await opened.broker.publish([kept]);
      const [delivery] = await take(await opened.consume([other]), 1, 10_000);
      expect(idOf(delivery)).toBe(kept.id);
    });
    await server.control('clear_policy', name!);
  });

  it('brings a worker what others delay for its queue, though nothing of ours ever delayed anything for it', async () => {
    const [queue, other] = [newQueue(), newQueue()];
    await withDriver({}, async (opened) => {
      await opened.broker.publish([outgoing(other, { delayMs: 600_000 })]);
      const consumer = await opened.consume([queue]);
      await asAdmin(async (channel) => {
        channel.publish('celery_delayed_27', `${'0.'.repeat(27)}1.${queue}`, Buffer.from('{}'), {
          messageId: 'theirs',
        });
        await channel.checkQueue(queue);
      });
      const [delivery] = await take(consumer, 1);
      expect(delivery?.message.properties['message_id']).toBe('theirs');
    });
  });

  it('delivers what was delayed for a queue that was deleted and is there again, whoever declared it', async () => {
    const queue = newQueue();
    const sent = outgoing(queue, { delayMs: 4_000 });
    await withDriver({}, async ({ broker }) => void (await broker.publish([sent])));
    await asAdmin(async (channel) => void (await channel.deleteQueue(queue)));
    await withDriver({}, async (opened) => {
      const [delivery] = await take(await opened.consume([queue]), 1, 15_000);
      expect(idOf(delivery)).toBe(sent.id);
    });
  });

  it.each([
    ['exchange', (channel: Channel) => channel.deleteExchange('celery_delayed_27')],
    ['queue', (channel: Channel) => channel.deleteQueue('celery_delayed_0')],
  ])('whose levels of delay lost an %s has them again as soon as something is delayed', async (_name, destroy) => {
    await withDriver({}, async (opened) => {
      const queue = newQueue();
      await opened.broker.publish([outgoing(queue, { delayMs: 600_000 })]);
      await asAdmin(destroy);
      const sent = outgoing(queue, { delayMs: 1_000 });
      await eventually(async () => {
        const [outcome] = await opened.broker.publish([sent]);
        expect(outcome).toEqual({ status: 'accepted' });
      });
      const [delivery] = await take(await opened.consume([queue]), 1);
      expect(idOf(delivery)).toBe(sent.id);
    });
  });

  it('with a level of delay that confirms nothing takes everything else, says which it is, and goes on when it does again', async () => {
    await withDriver({ confirmTimeoutMs: 1_500 }, async (opened) => {
      const { broker } = opened;
      const [queue, level] = [newQueue(), 'celery_delayed_12'];
      const forLevel = (): OutgoingMessage => outgoing(queue, { delayMs: 2 ** 12 * 1_000 + 60_000 });
      await broker.publish([outgoing(queue, { delayMs: 600_000 })]);
      await server.control('eval', `sys:suspend(whereis('%2F_${level}')).`);
      // More than RabbitMQ lets wait before it stops reading from the connection.
      const stuck = broker.publish(Array.from({ length: 100 }, forLevel));
      for (let one = 0; one < 50; one += 1) {
        expect(await broker.publish([outgoing(queue)])).toEqual([{ status: 'accepted' }]);
      }
      const remedy = expect.stringContaining(`quorum_status ${level}`) as string;
      for (const outcome of await stuck) {
        expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'BROKER_UNAVAILABLE', remedy } });
      }
      const asked = performance.now();
      expect(await broker.publish([forLevel()])).toMatchObject([{ status: 'refused', error: { retryable: true } }]);
      expect(performance.now() - asked).toBeLessThan(1_000);
      await eventually(async () => {
        expect(await broker.publish([outgoing(queue, { delayMs: 600_000 })])).toEqual([{ status: 'accepted' }]);
      });
      await server.control('eval', `sys:resume(whereis('%2F_${level}')).`);
      await eventually(
        async () => expect(await broker.publish([forLevel()])).toEqual([{ status: 'accepted' }]),
        30_000,
      );
    });
  });

  // After those that use the levels of delay: a quorum queue of 3.10 that was killed right after its declaration may be left
  // without a leader, and confirms nothing any more.
  it('that is killed and started again has kept what it confirmed, and workers go on', async () => {
    await withDriver({}, async (opened) => {
      const queue = newQueue();
      const consumer = await opened.consume([queue]);
      const sent = outgoing(queue);
      expect((await opened.broker.publish([sent]))[0]?.status).toBe('accepted');
      const delayed = outgoing(queue, { delayMs: 20_000 });
      expect((await opened.broker.publish([delayed]))[0]?.status).toBe('accepted');
      const [held] = await take(consumer, 1);
      expect(idOf(held)).toBe(sent.id);
      await server.kill();
      await server.start();
      const first = await take(consumer, 1, 20_000);
      const again = [...first, ...(await take(consumer, 1, 60_000))];
      expect(new Set(again.map(idOf))).toEqual(new Set([sent.id, delayed.id]));
      expect(again.map((one) => one.lostLeases)).toEqual([0, 0]);
      await consumer.settle(again.map(ack));
    });
  });

  it('that is short of memory keeps nobody from declaring a queue', async () => {
    await withDriver({ blockedTimeoutMs: 300 }, async (opened) => {
      const queue = newQueue();
      await opened.broker.publish([outgoing(queue)]);
      await block(opened, queue);
      await opened.broker.declare([{ name: newQueue() }]);
      await unblock();
    });
  });

  it('counts runners that die, and blames nobody for what was given back', async () => {
    const queue = newQueue();
    const sent = outgoing(queue);
    const losses: (number | undefined)[] = [];
    const runs: number[] = [];
    await withDriver({}, async ({ broker }) => void (await broker.publish([sent])));
    for (let death = 0; death < 4; death += 1) {
      await withDriver({}, async (opened) => {
        const [delivery] = await take(await opened.consume([queue]), 1);
        losses.push(delivery?.lostLeases);
        runs.push(delivery?.run ?? 0);
        // As when a process dies: the driver that finds it again is another one, which remembers nothing.
        await server.control('close_all_connections', 'test');
        await eventually(() => expect(opened.log.join()).toContain('was lost'), 20_000);
      });
    }
    expect(losses).toEqual([0, 0, 1, 2]);
    expect(runs).toEqual([...new Set(runs)].sort((a, b) => a - b));
    for (let release = 0; release < 2; release += 1) {
      await withDriver({}, async (opened) => {
        const consumer = await opened.consume([queue]);
        const [delivery] = await take(consumer, 1);
        losses.push(delivery?.lostLeases);
        await consumer.settle([{ kind: 'release', delivery: delivery! }]);
      });
    }
    expect(losses.slice(4)).toEqual([3, 3]);
  });

  it('that stops waiting for an acknowledgement takes the message back; the worker is told how to help it, once', async () => {
    // Since 4.3 it waits for ever where the queue is a classic one.
    const [, major, minor] = /(\d+)\.(\d+)/.exec(await server.control('eval', 'rabbit_misc:version().')) ?? [];
    const queueType = Number(major) * 100 + Number(minor) >= 403 ? 'quorum' : 'classic';
    await server.control(
      'eval',
      'application:set_env(rabbit, consumer_timeout, 1000), application:set_env(rabbit, channel_tick_interval, 500).',
    );
    await withDriver({ queueType }, async (opened) => {
      const queue = newQueue();
      const consumer = await opened.consume([queue]);
      await opened.broker.publish([outgoing(queue)]);
      const [delivery] = await take(consumer, 1);
      await eventually(async () => expect(await consumer.extend([delivery!], 1)).toEqual(['lost']), 60_000);
      expect(opened.log.filter((line) => line.includes('consumer_timeout'))).toHaveLength(1);
      const [again] = await take(consumer, 1, 20_000);
      expect(idOf(again)).toBe(idOf(delivery));
      expect(await consumer.settle([ack(again!)])).toEqual(['settled']);
    });
  });

  it('has the levels of delay that Celery declares', async () => {
    await withDriver({}, async (opened) => {
      const queue = newQueue();
      await opened.broker.publish([outgoing(queue, { delayMs: 60_000 })]);
      const admin = await connect(server.url);
      const channel = await admin.createChannel();
      for (let level = 0; level < 28; level += 1) {
        await channel.assertExchange(`celery_delayed_${level}`, 'topic', { durable: true });
        await channel.assertQueue(`celery_delayed_${level}`, {
          durable: true,
          arguments: {
            'x-queue-type': 'quorum',
            'x-overflow': 'reject-publish',
            'x-message-ttl': 2 ** level * 1_000,
            'x-dead-letter-exchange': level === 0 ? 'celery_delayed_delivery' : `celery_delayed_${level - 1}`,
            'x-dead-letter-strategy': 'at-least-once',
          },
        });
      }
      await channel.assertExchange('celery_delayed_delivery', 'topic', { durable: true });
      // 60 seconds are 32 + 16 + 8 + 4: it waits in the highest of them.
      await eventually(async () => expect((await channel.checkQueue('celery_delayed_5')).messageCount).toBe(1));
      await admin.close();
    });
  });
});
