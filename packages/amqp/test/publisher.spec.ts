import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import { silentLogger } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AmqpTopology } from '../src/amqp-topology.js';
import { amqpDriver } from '../src/index.js';
import { amqpUrl } from './broker-url.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const newQueue = (): string => `p-${randomUUID().slice(0, 13)}`;

describe.skipIf(amqpUrl === undefined)('publishing', () => {
  let opened: OpenedDriver;
  let admin: Awaited<ReturnType<typeof connect>>;
  beforeAll(async () => {
    opened = await openDriver({ url: amqpUrl as string });
    admin = await connect(amqpUrl as string);
  });
  afterAll(async () => {
    await admin.close();
    await opened.dispose();
  });

  it('declares a queue as Celery does: durable, classic, bound to a direct exchange of its name', async () => {
    const queue = newQueue();
    await opened.broker.publish([outgoing(queue)]);
    const channel = await admin.createChannel();
    // Another declaration of either would close the channel.
    await channel.assertExchange(queue, 'direct', { durable: true });
    await expect(channel.assertQueue(queue, { durable: true })).resolves.toMatchObject({ messageCount: 1 });
    channel.publish(queue, queue, Buffer.from('through the exchange'));
    await channel.close();
    await expect.poll(async () => (await admin.createChannel()).checkQueue(queue)).toMatchObject({ messageCount: 2 });
  });

  it('declares a queue anew that was deleted, when a message comes back from it', async () => {
    const queue = newQueue();
    const { broker } = opened;
    await broker.publish([outgoing(queue)]);
    await (await admin.createChannel()).deleteQueue(queue);
    const again = outgoing(queue);
    const [outcome, other] = await broker.publish([again, outgoing(queue)]);
    expect([outcome?.status, other?.status]).toEqual(['accepted', 'accepted']);
    const consumer = await opened.consume([queue]);
    const deliveries = await take(consumer, 2);
    expect(deliveries.map(idOf)).toContain(again.id);
    await consumer.settle(deliveries.map(ack));
  });

  it('refuses a queue that exists with other arguments, showing both, and goes on with others', async () => {
    const [queue, other] = [newQueue(), newQueue()];
    const channel = await admin.createChannel();
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-max-priority': 5 } });
    const consumer = await opened.consume([other]);
    const waiting = take(consumer, 1);
    await expect(opened.broker.declare([{ name: queue }])).rejects.toMatchObject({
      code: 'QUEUE_MISMATCH',
      fields: { queue, argument: 'x-max-priority', existing: expect.stringContaining('5') as string, declared: 'none' },
    });
    const [refused, accepted] = await opened.broker.publish([outgoing(queue), outgoing(other)]);
    expect(refused).toMatchObject({ status: 'refused', error: { code: 'QUEUE_MISMATCH' } });
    expect(accepted?.status).toBe('accepted');
    await consumer.settle((await waiting).map(ack));
    await channel.deleteQueue(queue);
  });

  it('says what priorities a queue has', async () => {
    const queue = newQueue();
    const urgent = await openDriver({ url: amqpUrl as string, maxPriority: 9 });
    expect([opened.broker.capabilities.priorities, urgent.broker.capabilities.priorities]).toEqual([0, 10]);
    await urgent.broker.declare([{ name: queue }]);
    const channel = await admin.createChannel();
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-max-priority': 9 } });
    await channel.close();
    await urgent.dispose();
  });

  it.each([
    ['a large body', { body: Buffer.alloc(2_000) }, 'MESSAGE_TOO_LARGE'],
    ['headers over 64 KiB', { headers: { text: 'x'.repeat(70_000) } }, 'MESSAGE_TOO_LARGE'],
    ['headers that no table can hold', { headers: { big: 1n } }, 'PUBLISH_FAILED'],
    // The server closes the channel over the first, and the connection over the others.
    ['a header CC that is no list', { headers: { CC: 'somebody@example.org' } }, 'PUBLISH_FAILED'],
    ['a header without end', { headers: { deep: [{ it: Infinity }] } }, 'PUBLISH_FAILED'],
    ['a header that is no number', { headers: { it: { '!': 'double', value: NaN } } }, 'PUBLISH_FAILED'],
  ])('refuses %s alone', async (_name, part, code) => {
    const queue = newQueue();
    const small = await openDriver({ url: amqpUrl as string, maxMessageBytes: 1_024 });
    const bad = outgoing(queue);
    const outcomes = await small.broker.publish([
      outgoing(queue),
      { ...bad, message: { ...bad.message, ...part } },
      outgoing(queue),
    ]);
    expect(outcomes.map((one) => one.status)).toEqual(['accepted', 'refused', 'accepted']);
    expect(outcomes[1]).toMatchObject({ error: { code, fields: { field: expect.any(String) as string } } });
    await small.dispose();
  });

  it.each(['CC', 'BCC'])(
    'refuses the header %s, by which the server would send it to other queues as well',
    async (name) => {
      const [queue, other] = [newQueue(), newQueue()];
      await opened.broker.declare([{ name: other }]);
      const one = outgoing(queue);
      const message = { ...one.message, headers: { ...one.message.headers, [name]: [other] } };
      expect(await opened.broker.publish([{ ...one, message }])).toMatchObject([
        { status: 'refused', error: { code: 'PUBLISH_FAILED', fields: { field: `headers.${name}`, value: [other] } } },
      ]);
      const channel = await admin.createChannel();
      expect(await channel.checkQueue(other)).toMatchObject({ messageCount: 0 });
      await channel.close();
    },
  );

  it('follows no header CC of other senders: what is sent anew or is dead goes to one queue', async () => {
    const [queue, other] = [newQueue(), newQueue()];
    await opened.broker.declare([{ name: queue }, { name: other }]);
    const channel = await admin.createChannel();
    const { body, headers } = outgoing(queue).message;
    channel.sendToQueue(queue, Buffer.from(body), { headers, CC: [other] });
    await expect.poll(() => channel.checkQueue(other)).toMatchObject({ messageCount: 1 });
    const consumer = await opened.consume([queue]);
    const [first] = await take(consumer, 1);
    expect(first?.message.headers).toEqual(headers);
    const again = { ...outgoing(queue), message: first!.message };
    await consumer.settle([{ kind: 'replace', delivery: first!, message: again }]);
    const [second] = await take(consumer, 1);
    await consumer.settle([{ kind: 'dead-letter', delivery: second!, reason: 'x' }]);
    expect(await channel.checkQueue(`taskqueue.dead.${queue}`)).toMatchObject({ messageCount: 1 });
    expect(await channel.checkQueue(other)).toMatchObject({ messageCount: 1 });
    await channel.close();
  });

  it('refuses for good what comes back from a queue that is deleted again and again', async () => {
    const queue = newQueue();
    const channel = await admin.createChannel();
    const ensureQueue = Object.getOwnPropertyDescriptor(AmqpTopology.prototype, 'ensureQueue')?.value as (
      this: AmqpTopology,
      queue: string,
    ) => Promise<void>;
    const declaring = vi.spyOn(AmqpTopology.prototype, 'ensureQueue').mockImplementation(async function (
      this: AmqpTopology,
    ) {
      await ensureQueue.call(this, queue);
      await channel.deleteQueue(queue);
    });
    const [outcome] = await opened.broker.publish([outgoing(queue)]);
    expect(outcome).toMatchObject({
      status: 'refused',
      error: { code: 'PUBLISH_FAILED', retryable: true, message: expect.stringContaining('NO_ROUTE') as string },
    });
    expect(declaring).toHaveBeenCalledTimes(2);
    declaring.mockRestore();
    const [next] = await opened.broker.publish([outgoing(queue)]);
    expect(next).toEqual({ status: 'accepted' });
    await channel.close();
  });

  it('is not given up by a process that was too busy to read the confirmations in time', async () => {
    const queue = newQueue();
    const busy = await openDriver({ url: amqpUrl as string, confirmTimeoutMs: 700 });
    const both = [outgoing(queue), outgoing(queue, { delayMs: 2_000 })];
    for (const outcome of await busy.broker.publish(both)) expect(outcome).toEqual({ status: 'accepted' });
    const publishing = busy.broker.publish([outgoing(queue), outgoing(queue, { delayMs: 2_000 })]);
    const until = performance.now() + 2_000;
    while (performance.now() < until);
    for (const outcome of await publishing) expect(outcome).toEqual({ status: 'accepted' });
    await busy.dispose();
  });

  it('cannot be part of a transaction', async () => {
    await expect(opened.broker.publish([outgoing(newQueue())], { transaction: {} })).rejects.toMatchObject({
      code: 'CAPABILITY_UNSUPPORTED',
    });
  });

  it('names neither user nor password where it says what is wrong', async () => {
    const url = new URL(amqpUrl as string);
    url.username = 'somebody';
    url.password = 'secret-word';
    const driver = amqpDriver({ url: url.href });
    expect(driver.describe()).not.toMatch(/secret-word|somebody/);
    const error: unknown = await driver.connect({ logger: silentLogger }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    expect(JSON.stringify(error) + String(error)).not.toContain('secret-word');
  });
});
