import { randomUUID } from 'node:crypto';
import type { Channel, Message } from 'amqplib';
import { connect } from 'amqplib';
import type { Consumer } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { rabbitmqIsInstalled, RabbitmqServer } from '../../../test/support/rabbitmq-server.js';
import type { AmqpDriverOptions } from '../src/index.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';

/** Behind the levels: from where queues get what was delayed, and where that goes whose queue is gone. */
const LAST = ['taskqueue.delayed', 'taskqueue.delayed.homeless'] as const;
const newQueue = (): string => `t-${randomUUID().slice(0, 13)}`;

describe.skipIf(!rabbitmqIsInstalled)('the ways of delayed messages', { timeout: 120_000 }, () => {
  let server: RabbitmqServer;
  beforeAll(async () => {
    server = await RabbitmqServer.create();
  }, 90_000);
  afterAll(() => server?.remove());

  /** A place without levels, and without what other cases have broken. */
  const newVhost = async (): Promise<string> => {
    const name = `v-${randomUUID().slice(0, 8)}`;
    await server.control('add_vhost', name);
    await server.control('set_permissions', '-p', name, 'guest', '.*', '.*', '.*');
    return new URL(name, server.url).href;
  };

  const withDriver = async (
    options: AmqpDriverOptions,
    body: (opened: OpenedDriver) => Promise<void>,
  ): Promise<void> => {
    const opened = await openDriver(options);
    try {
      await body(opened);
    } finally {
      await opened.driver.close();
    }
  };

  const asAdmin = async (url: string, body: (channel: Channel) => Promise<unknown>): Promise<void> => {
    const admin = await connect(url);
    try {
      const channel = await admin.createChannel();
      channel.on('error', () => undefined);
      await body(channel);
    } finally {
      await admin.close();
    }
  };

  /** As Python's clients, which declare nothing. */
  const delayAsPython = (url: string, queue: string, messageId: string): Promise<void> =>
    asAdmin(url, async (channel) => {
      const key = `${'0.'.repeat(27)}1.${queue}`;
      channel.publish('celery_delayed_27', key, Buffer.from('{}'), { messageId, persistent: true });
      await channel.checkQueue(queue);
    });

  /** What Python delays for the queue comes to this worker, which may have to declare the way again. */
  const comes = (url: string, queue: string, consumer: Consumer): Promise<void> =>
    eventually(async () => {
      // A worker waits all the time: that is when it makes its connection anew, and declares.
      const [sent, taken] = await Promise.allSettled([delayAsPython(url, queue, 'theirs'), take(consumer, 1, 3_000)]);
      if (sent.status === 'rejected') throw sent.reason;
      if (taken.status === 'rejected') throw taken.reason;
      const [delivery] = taken.value;
      expect(delivery?.message.properties['message_id']).toBe('theirs');
      expect(await consumer.settle([ack(delivery!)])).toEqual(['settled']);
    }, 40_000);

  const areThere = (url: string): Promise<void> =>
    asAdmin(url, (channel) => channel.checkExchange('celery_delayed_delivery'));

  it.each(['quorum', 'classic'] as const)(
    'are declared again by a worker of %s queues when the server has lost all its data',
    async (queueType) => {
      const { url } = server;
      await withDriver({ url, queueType }, async (opened) => {
        const queue = newQueue();
        const consumer = await opened.consume([queue]);
        if (queueType === 'classic') await opened.broker.publish([outgoing(queue, { delayMs: 600_000 })]);
        await areThere(url);
        for (const command of ['stop_app', 'reset', 'start_app']) await server.control(command);
        await comes(url, queue, consumer);
      });
    },
  );

  const deleteParts = (url: string): Promise<void> =>
    asAdmin(url, async (channel) => {
      for (const name of ['taskqueue.delayed', 'taskqueue.delayed.homeless', 'celery_delayed_delivery']) {
        await channel.deleteExchange(name);
      }
      await channel.deleteExchange('celery_delayed_3');
      await channel.deleteQueue('celery_delayed_0');
    });

  it('are declared again by a worker when somebody has deleted parts of them', async () => {
    const url = await newVhost();
    const queue = newQueue();
    await withDriver({ url }, async ({ broker }) => {
      expect(await broker.publish([outgoing(queue, { delayMs: 600_000 })])).toEqual([{ status: 'accepted' }]);
    });
    await withDriver({ url }, async (opened) => {
      const consumer = await opened.consume([queue]);
      await deleteParts(url);
      await comes(url, queue, consumer);
    });
  });

  it('are declared again by whoever has delayed something, when somebody deletes parts of them right after', async () => {
    const url = await newVhost();
    const queue = newQueue();
    await withDriver({ url }, async ({ broker }) => {
      await broker.publish([outgoing(queue, { delayMs: 600_000 })]);
      const sent = outgoing(queue, { delayMs: 13_000 });
      expect(await broker.publish([sent])).toEqual([{ status: 'accepted' }]);
      await deleteParts(url);
      await eventually(
        () => asAdmin(url, async (channel) => expect((await channel.checkQueue(queue)).messageCount).toBe(1)),
        30_000,
      );
    });
  });

  /**
   * Sends to the last exchange of the levels, one batch after another, until the queue gets some of it, and answers what was
   * taken: not returned.
   */
  const pourUntilItComes = async (url: string, queue: string): Promise<readonly string[]> => {
    const connection = await connect(url);
    const channel = await connection.createConfirmChannel();
    const taken = new Set<string>();
    channel.on('return', ({ properties }: Message) => taken.delete(String(properties.messageId)));
    const key = `${'0.'.repeat(28)}${queue}`;
    while ((await channel.checkQueue(queue)).messageCount === 0) {
      for (let one = 0; one < 20; one += 1) {
        const messageId = randomUUID();
        taken.add(messageId);
        channel.publish('celery_delayed_delivery', key, Buffer.from('{}'), { messageId, mandatory: true });
      }
      await channel.waitForConfirms();
    }
    await connection.close();
    return [...taken];
  };

  const idsIn = async (channel: Channel, queue: string): Promise<string[]> => {
    const ids: string[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (message === false) return ids;
      ids.push(String(message.properties.messageId));
    }
  };

  it.each([
    ['the last exchanges', (channel: Channel) => Promise.all(LAST.map((name) => channel.deleteExchange(name)))],
    [
      'the ways from the last exchanges',
      async (channel: Channel, queue: string) => {
        await channel.unbindQueue(queue, LAST[0], `${'*.'.repeat(28)}${queue}`);
        await channel.deleteExchange(LAST[1]);
      },
    ],
  ])('drop nothing that they take while they are declared again: %s', async (_name, destroy) => {
    const url = await newVhost();
    const queue = newQueue();
    await withDriver({ url }, async ({ broker }) => {
      expect(await broker.publish([outgoing(queue, { delayMs: 600_000 })])).toEqual([{ status: 'accepted' }]);
      await asAdmin(url, async (channel) => {
        await destroy(channel, queue);
        const taken = await pourUntilItComes(url, queue);
        const kept = [...(await idsIn(channel, queue)), ...(await idsIn(channel, `taskqueue.dead.${queue}`))];
        expect(new Set(kept)).toEqual(new Set(taken));
      });
    });
  });

  it('that are declared otherwise keep no worker from starting, which says so; whoever delays something is refused', async () => {
    const url = await newVhost();
    await asAdmin(url, async (channel) => {
      await channel.assertExchange('celery_delayed_delivery', 'topic', { durable: true });
      await channel.assertExchange('celery_delayed_3', 'direct', { durable: true });
    });
    await withDriver({ url }, async (opened) => {
      const queue = newQueue();
      const consumer = await opened.consume([queue]);
      const said = opened.log.filter((line) => line.includes('may not come'));
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(/PUBLISH_FAILED.*celery_delayed_3/);
      const [delayed, plain] = await opened.broker.publish([outgoing(queue, { delayMs: 60_000 }), outgoing(queue)]);
      expect(delayed).toMatchObject({
        status: 'refused',
        error: { message: expect.stringContaining('celery_delayed_3') as string },
      });
      expect(plain).toEqual({ status: 'accepted' });
      expect(await consumer.settle((await take(consumer, 1)).map(ack))).toEqual(['settled']);
    });
  });

  it('whose last exchange is somebody else’s take nothing, and what is not delayed goes on', async () => {
    const url = await newVhost();
    await asAdmin(url, (channel) => channel.assertExchange('taskqueue.delayed', 'fanout', { durable: true }));
    await withDriver({ url }, async (opened) => {
      const queue = newQueue();
      const consumer = await opened.consume([queue]);
      const [delayed, plain] = await opened.broker.publish([outgoing(queue, { delayMs: 60_000 }), outgoing(queue)]);
      expect(delayed).toMatchObject({
        status: 'refused',
        error: { message: expect.stringContaining('taskqueue.delayed') as string },
      });
      expect(plain).toEqual({ status: 'accepted' });
      expect(await consumer.settle((await take(consumer, 1)).map(ack))).toEqual(['settled']);
    });
  });

  it('with a level that answers nothing stand in nobody’s way, also on a new connection', async () => {
    const url = await newVhost();
    const vhost = new URL(url).pathname.slice(1);
    await withDriver({ url, confirmTimeoutMs: 1_500 }, async (opened) => {
      const queue = newQueue();
      const consumer = await opened.consume([queue]);
      await opened.broker.publish([outgoing(queue, { delayMs: 600_000 })]);
      await server.control('eval', `sys:suspend(whereis('${vhost}_celery_delayed_12')).`);
      await server.control('close_all_connections', '-p', vhost, 'test');
      await eventually(() => expect(opened.log.join()).toContain('connected again'), 20_000);
      const sent = outgoing(queue);
      await eventually(async () => expect(await opened.broker.publish([sent])).toEqual([{ status: 'accepted' }]));
      const [delivery] = await take(consumer, 1, 10_000);
      expect(idOf(delivery)).toBe(sent.id);
      expect(await consumer.settle([ack(delivery!)])).toEqual(['settled']);
      await opened.broker.declare([{ name: newQueue() }]);
      await server.control('eval', `sys:resume(whereis('${vhost}_celery_delayed_12')).`);
      await eventually(async () => {
        const [outcome] = await opened.broker.publish([outgoing(queue, { delayMs: 600_000 })]);
        expect(outcome).toEqual({ status: 'accepted' });
      }, 30_000);
    });
  });
});
