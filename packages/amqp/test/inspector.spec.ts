import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rabbitmqIsInstalled, RabbitmqServer } from '../../../test/support/rabbitmq-server.js';
import { amqpUrl } from './broker-url.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const newQueue = (): string => `i-${randomUUID().slice(0, 13)}`;
const nothing = async (consumer: Awaited<ReturnType<OpenedDriver['consume']>>): Promise<void> => {
  expect(await consumer.receive({ max: 5, signal: AbortSignal.timeout(300) })).toEqual([]);
};

describe.skipIf(amqpUrl === undefined)('the inspector', () => {
  let opened: OpenedDriver;
  let other: OpenedDriver;
  beforeAll(async () => {
    opened = await openDriver({ url: amqpUrl as string });
    other = await openDriver({ url: amqpUrl as string });
  });
  afterAll(() => Promise.all([opened.dispose(), other.dispose()]));

  it.each([1, 2])(
    'pauses a queue under a worker of %i queue(s) that waits, and one that starts later obeys',
    async (n) => {
      const queues = Array.from({ length: n }, newQueue);
      const [queue] = queues as [string];
      const inspector = opened.driver.inspector!;
      const consumer = await other.consume(queues);
      const waiting = take(consumer, 1, 20_000);
      await inspector.pause(queue);
      const sent = outgoing(queue);
      await opened.broker.publish([sent]);
      // A process that was not there when it was paused.
      const late = await openDriver({ url: amqpUrl as string });
      await nothing(await late.consume([queue]));
      await late.driver.close();
      if (n === 2) {
        const elsewhere = outgoing(queues[1] as string);
        await opened.broker.publish([elsewhere]);
        const [delivery] = await waiting;
        expect(idOf(delivery)).toBe(elsewhere.id);
        await consumer.settle([ack(delivery!)]);
        await nothing(consumer);
      }
      const next = n === 2 ? take(consumer, 1) : waiting;
      await inspector.resume(queue);
      const [delivery] = await next;
      expect([idOf(delivery), delivery?.lostLeases]).toEqual([sent.id, 0]);
      await consumer.settle([ack(delivery!)]);
    },
  );

  it('pauses twice and resumes twice without a difference', async () => {
    const queue = newQueue();
    const inspector = opened.driver.inspector!;
    const isPaused = async (): Promise<boolean | undefined> =>
      (await inspector.queues()).find(({ name }) => name === queue)?.paused;
    await inspector.pause(queue);
    await inspector.pause(queue);
    expect(await isPaused()).toBe(true);
    await inspector.resume(queue);
    expect(await isPaused()).toBe(false);
    await inspector.resume(queue);
    expect(await isPaused()).toBe(false);
  });

  it('looks at messages again and again without blaming them, nor costing them their place', async () => {
    const queue = newQueue();
    const sent = [outgoing(queue), outgoing(queue), outgoing(queue)];
    await opened.broker.publish(sent);
    // The other process hears of it, and it is this one that gets the messages.
    const consumer = await other.consume([queue]);
    for (let look = 0; look < 4; look += 1) {
      const limit = 1;
      const seen = await opened.driver.inspector!.peek({ queue, status: 'ready', limit });
      expect(seen.map(({ id }) => id)).toEqual(sent.slice(0, limit).map(({ id }) => id));
    }
    const deliveries = await take(consumer, 3);
    expect(deliveries.map(idOf)).toEqual(sent.map(({ id }) => id));
    expect(deliveries.map(({ lostLeases }) => lostLeases)).toEqual([0, 0, 0]);
    await consumer.settle(deliveries.map(ack));
  });

  it('says what it cannot show, and which option helps', async () => {
    const queue = newQueue();
    const inspector = opened.driver.inspector!;
    expect(inspector.cannotTell).toEqual(['delayed', 'leased', 'oldestReadyMs']);
    await expect(inspector.peek({ queue, status: 'leased', limit: 1 })).rejects.toMatchObject({
      code: 'CAPABILITY_UNSUPPORTED',
      message: expect.stringContaining('managementUrl') as string,
    });
  });

  it('reads dead letters again after their queue was deleted', async () => {
    const queue = newQueue();
    const inspector = opened.driver.inspector!;
    expect((await inspector.deadLetters({ queue, limit: 1 })).messages).toEqual([]);
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    await opened.broker.publish([outgoing(queue)]);
    const consumer = await opened.consume([queue]);
    const [delivery] = await take(consumer, 1);
    await consumer.settle([{ kind: 'dead-letter', delivery: delivery!, reason: 'bad' }]);
    await channel.deleteQueue(`taskqueue.dead.${queue}`);
    await inspector.deadLetters({ queue, limit: 1 }).catch(() => undefined);
    expect((await inspector.deadLetters({ queue, limit: 1 })).messages).toEqual([]);
    await admin.close();
  });

  it('puts back what it has shown of a queue that this process never declared', async () => {
    const queue = newQueue();
    const consumer = await opened.consume([queue]);
    await opened.broker.publish([outgoing(queue)]);
    const [delivery] = await take(consumer, 1);
    await consumer.settle([{ kind: 'dead-letter', delivery: delivery!, reason: 'not now' }]);
    const stranger = await openDriver({ url: amqpUrl as string });
    const inspector = stranger.driver.inspector!;
    const shown = await inspector.deadLetters({ queue, limit: 5 });
    const ids = shown.messages.map(({ id }) => id);
    expect(ids).toEqual([idOf(delivery!)]);
    expect(await inspector.redrive(ids)).toEqual(ids);
    const [again] = await take(consumer, 1);
    expect(idOf(again!)).toBe(ids[0]);
    await consumer.settle([ack(again!)]);
    await stranger.driver.close();
  });

  it('uses queues of its own that were declared otherwise', async () => {
    const queue = newQueue();
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    for (const kind of ['dead', 'paused']) {
      await channel.assertQueue(`taskqueue.${kind}.${queue}`, { durable: true, arguments: { 'x-max-length': 77 } });
    }
    await opened.driver.inspector!.pause(queue);
    expect((await opened.driver.inspector!.queues()).find(({ name }) => name === queue)).toMatchObject({
      paused: true,
    });
    await opened.driver.inspector!.resume(queue);
    await opened.broker.publish([outgoing(queue)]);
    const consumer = await opened.consume([queue]);
    const [delivery] = await take(consumer, 1);
    await consumer.settle([{ kind: 'dead-letter', delivery: delivery!, reason: 'bad' }]);
    expect((await opened.driver.inspector!.deadLetters({ queue, limit: 1 })).messages).toHaveLength(1);
    await admin.close();
  });

  it('shows every reader all dead letters, also when several look at once', async () => {
    const queue = newQueue();
    const consumer = await opened.consume([queue]);
    const sent = Array.from({ length: 20 }, () => outgoing(queue));
    await opened.broker.publish(sent);
    const deliveries = await take(consumer, 20);
    await consumer.settle(deliveries.map((delivery) => ({ kind: 'dead-letter', delivery, reason: 'bad' })));
    const pages = await Promise.all(
      [opened, other, opened].map(({ driver }) => driver.inspector!.deadLetters({ queue, limit: 100 })),
    );
    for (const page of pages)
      expect(new Set(page.messages.map(({ id }) => id))).toEqual(new Set(sent.map((s) => s.id)));
    const some = sent.slice(0, 5).map(({ id }) => id);
    expect(new Set(await opened.driver.inspector!.redrive(some))).toEqual(new Set(some));
    const back = await take(consumer, 5);
    expect(new Set(back.map(idOf))).toEqual(new Set(some));
    expect(back.every((one, index) => one.run > (deliveries[index]?.run ?? 0) && one.lostLeases === 0)).toBe(true);
    await consumer.settle(back.map(ack));
    expect((await other.driver.inspector!.deadLetters({ queue, limit: 100 })).messages).toHaveLength(15);
  });
});

describe.skipIf(!rabbitmqIsInstalled)('the inspector with the management API', { timeout: 120_000 }, () => {
  let server: RabbitmqServer;
  beforeAll(async () => {
    server = await RabbitmqServer.create(['collect_statistics_interval = 1000'], ['rabbitmq_management']);
  }, 90_000);
  afterAll(() => server?.remove());

  it('knows queues of others, what workers hold, and the age of the oldest', async () => {
    const opened = await openDriver({ url: server.url, managementUrl: server.managementUrl });
    const other = await openDriver({ url: server.url });
    const [queue, foreign] = [newQueue(), newQueue()];
    await other.broker.publish([outgoing(foreign), outgoing(foreign), outgoing(foreign)]);
    await other.driver.inspector!.pause(foreign);
    await opened.broker.publish([outgoing(queue), outgoing(queue)]);
    const consumer = await opened.consume([queue]);
    const [held] = await take(consumer, 1);
    const { inspector } = opened.driver;
    expect(inspector?.cannotTell).toEqual(['delayed']);
    await eventually(async () => {
      const seen = (await inspector!.queues()).filter(({ name }) => [queue, foreign].includes(name));
      const byName = Object.fromEntries(seen.map((one) => [one.name, one]));
      expect(byName[queue]).toMatchObject({ ready: 1, leased: 1, dead: 0, paused: false });
      expect(byName[foreign]).toMatchObject({ ready: 3, leased: 0, dead: 0, paused: true });
      expect(byName[queue]?.oldestReadyMs).toBeLessThan(60_000);
      expect(seen).toHaveLength(2);
    }, 20_000);
    await consumer.settle([{ kind: 'dead-letter', delivery: held!, reason: 'bad' }]);
    // Of a process that has declared nothing.
    const stranger = await openDriver({ url: server.url, managementUrl: server.managementUrl });
    await eventually(async () => {
      const { messages } = await stranger.driver.inspector!.deadLetters({ limit: 10 });
      expect(messages.map(({ id, reason }) => [id, reason])).toEqual([[idOf(held), 'bad']]);
    }, 20_000);
    await Promise.all([opened, other, stranger].map(({ driver }) => driver.close()));
  });

  it('names the option when the API refuses the user, or is not there', async () => {
    const url = new URL(server.managementUrl);
    url.password = 'wrong';
    const refused = await openDriver({ url: server.url, managementUrl: url.href });
    await expect(refused.driver.inspector!.queues()).rejects.toMatchObject({
      code: 'CAPABILITY_UNSUPPORTED',
      fields: { field: 'managementUrl' },
    });
    const absent = await openDriver({ url: server.url, managementUrl: 'http://127.0.0.1:1' });
    await expect(absent.driver.inspector!.queues()).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
      fields: { field: 'managementUrl' },
    });
    await Promise.all([refused, absent].map(({ driver }) => driver.close()));
  });
});
