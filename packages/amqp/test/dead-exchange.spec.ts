import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, Message } from 'amqplib';
import { connect } from 'amqplib';
import type { Consumer, OutgoingMessage } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { rabbitmqIsInstalled, RabbitmqServer } from '../../../test/support/rabbitmq-server.js';
import type { OpenedDriver } from './open-driver.js';
import { openDriver, take } from './open-driver.js';

const EXCHANGE = 'taskqueue.dead';
const newQueue = (): string => `x-${randomUUID().slice(0, 13)}`;

describe.skipIf(!rabbitmqIsInstalled)('dead letters', { timeout: 60_000 }, () => {
  let server: RabbitmqServer;
  beforeAll(async () => {
    server = await RabbitmqServer.create();
  }, 90_000);
  afterAll(() => server?.remove());

  interface Scene {
    readonly opened: OpenedDriver;
    readonly channel: Channel;
    readonly vhost: string;
    readonly queue: string;
    readonly consumer: Consumer;
    /** Sends a message and lets it die. */
    die(reason: string): Promise<OutgoingMessage>;
  }

  /** A vhost of its own: all queues share the exchange. */
  const scene = async (prepare: (channel: Channel) => Promise<unknown>, body: (scene: Scene) => Promise<void>) => {
    const name = `v-${randomUUID().slice(0, 8)}`;
    await server.control('add_vhost', name);
    await server.control('set_permissions', '-p', name, 'guest', '.*', '.*', '.*');
    const url = new URL(name, server.url).href;
    const admin: ChannelModel = await connect(url);
    const channel = await admin.createChannel();
    await prepare(channel);
    const opened = await openDriver({ url });
    const queue = newQueue();
    const consumer = await opened.consume([queue]);
    const die = async (reason: string): Promise<OutgoingMessage> => {
      const sent = outgoing(queue);
      await opened.broker.publish([sent]);
      const [delivery] = await take(consumer, 1);
      expect(await consumer.settle([{ kind: 'dead-letter', delivery: delivery!, reason }])).toEqual(['settled']);
      return sent;
    };
    try {
      await body({ opened, vhost: name, channel, queue, consumer, die });
    } finally {
      await opened.driver.close();
      await admin.close();
    }
  };

  const kept = async ({ opened, queue }: Scene): Promise<unknown> =>
    (await opened.driver.inspector!.deadLetters({ queue, limit: 10 })).messages.map(({ id, reason }) => [id, reason]);

  const told = (channel: Channel, queue: string): Promise<Message> =>
    eventually(async () => (await channel.get(queue, { noAck: true })) || expect.fail('nothing yet'));

  const listen = async (channel: Channel, pattern: string, args: Record<string, unknown> = {}): Promise<string> => {
    await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
    const { queue } = await channel.assertQueue('', { arguments: args });
    await channel.bindQueue(queue, EXCHANGE, pattern);
    return queue;
  };

  it('are told, with reason, to whoever has bound a queue to the exchange, and kept', async () => {
    let alarm = '';
    await scene(
      async (channel) => (alarm = await listen(channel, '#')),
      async (one) => {
        const sent = await one.die('bad');
        const copy = await told(one.channel, alarm);
        expect(copy.fields).toMatchObject({ exchange: EXCHANGE, routingKey: one.queue });
        expect(copy.properties).toMatchObject({ messageId: sent.id, deliveryMode: 2 });
        expect(copy.properties.headers?.['taskqueue']).toMatchObject({ queue: one.queue, reason: 'bad' });
        expect(copy.content).toEqual(Buffer.from(sent.message.body));
        expect(await kept(one)).toEqual([[sent.id, 'bad']]);
      },
    );
  });

  it('are kept though their queue was deleted and only a queue of others is bound', async () => {
    await scene(
      (channel) => listen(channel, '#'),
      async (one) => {
        await one.die('first');
        await one.channel.deleteQueue(`taskqueue.dead.${one.queue}`);
        const sent = outgoing(one.queue);
        await one.opened.broker.publish([sent]);
        const [delivery] = await take(one.consumer, 1);
        const settlement = { kind: 'dead-letter', delivery: delivery!, reason: 'second' } as const;
        // It cannot be kept at first, and is not acknowledged for that.
        await expect(one.consumer.settle([settlement])).rejects.toMatchObject({ retryable: true });
        expect(await one.consumer.settle([settlement])).toEqual(['settled']);
        expect(await kept(one)).toEqual([[sent.id, 'second']]);
      },
    );
  });

  it('are kept once, and end their tasks, though a queue of others takes none', async () => {
    await scene(
      (channel) => listen(channel, '#', { 'x-max-length': 0, 'x-overflow': 'reject-publish' }),
      async (one) => {
        const sent = await one.die('bad');
        expect(await kept(one)).toEqual([[sent.id, 'bad']]);
      },
    );
  });

  it('are kept though the exchange is of another type, and told as that type does', async () => {
    let alarm = '';
    await scene(
      async (channel) => {
        await channel.assertExchange(EXCHANGE, 'fanout', { durable: false });
        alarm = (await channel.assertQueue('')).queue;
        await channel.bindQueue(alarm, EXCHANGE, '');
      },
      async (one) => {
        const sent = await one.die('bad');
        expect((await told(one.channel, alarm)).properties.messageId).toBe(sent.id);
        expect(await kept(one)).toEqual([[sent.id, 'bad']]);
      },
    );
  });

  it('are told on an exchange that is declared again when somebody has deleted it', async () => {
    await scene(
      async () => undefined,
      async (one) => {
        const lookUp = `{ok, _} = rabbit_exchange:lookup(rabbit_misc:r(<<"${one.vhost}">>, exchange, <<"${EXCHANGE}">>)).`;
        const isThere = (): Promise<unknown> => eventually(() => server.control('eval', lookUp), 20_000);
        await one.die('first');
        await isThere();
        await one.channel.deleteExchange(EXCHANGE);
        await one.die('second');
        await isThere();
        expect(await kept(one)).toHaveLength(2);
      },
    );
  });

  it('that a policy of the operator’s has put aside are shown with the broker’s reason', async () => {
    await scene(
      async () => undefined,
      async (one) => {
        await one.opened.driver.inspector!.deadLetters({ queue: one.queue, limit: 1 });
        await one.channel.assertQueue('orders', {
          arguments: {
            'x-message-ttl': 1,
            'x-dead-letter-exchange': '',
            'x-dead-letter-routing-key': `taskqueue.dead.${one.queue}`,
          },
        });
        one.channel.sendToQueue('orders', Buffer.from('{}'), { messageId: 'm' });
        await eventually(async () => expect(await kept(one)).toEqual([['m', 'expired in the queue orders']]));
      },
    );
  });
});
