import { randomUUID } from 'node:crypto';
import type { ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import type { Deferred, Worker } from '@taskqueue/core';
import { deferred } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { App } from './app.js';
import { amqpUrl } from './broker-url.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

describe.skipIf(amqpUrl === undefined)('a worker', () => {
  let opened: OpenedDriver;
  let admin: ChannelModel;
  const apps: App[] = [];
  const app = (...args: ConstructorParameters<typeof App>): App => {
    const one = new App(...args);
    apps.push(one);
    return one;
  };
  beforeAll(async () => {
    opened = await openDriver({ url: amqpUrl as string });
    admin = await connect(amqpUrl as string);
  });
  afterEach(async () => void (await Promise.all(apps.splice(0).map((one) => one.close()))));
  afterAll(async () => {
    await admin.close();
    await opened.dispose();
  });

  it.each([1, 2])('of %i queue(s) holds just what it can run, also when its pool is resized', async (n) => {
    const one = app(opened.driver);
    const gates: Deferred<void>[] = [];
    one.task('wait', () => {
      const gate = deferred();
      gates.push(gate);
      return gate.promise;
    });
    for (let sent = 0; sent < 12; sent += 1) await one.sender.sendTask('wait');
    const channel = await admin.createChannel();
    const ready = async (): Promise<number> => (await channel.checkQueue(one.queue)).messageCount;
    await eventually(async () => expect(await ready()).toBe(12));
    const queues = n === 1 ? [one.queue] : [one.queue, `${one.queue}-2`];
    const worker = await one.work({ concurrency: 2, queues });
    const holds = async (running: number, waiting: number): Promise<void> => {
      await eventually(() => expect(gates).toHaveLength(running));
      // What it should not hold would have come with the rest, or with the next question.
      await eventually(async () => expect(await ready()).toBe(waiting));
    };
    await holds(2, 10);
    poolOf(worker).resize(5);
    gates.splice(0, 1)[0]?.resolve();
    await holds(5, 6);
    poolOf(worker).resize(1);
    for (const gate of gates.splice(0)) gate.resolve();
    await holds(1, 5);
    expect(worker.status()).toMatchObject({ active: 1, buffered: 0 });
    // Nothing of the queue is unacknowledged but what runs.
    const { messageCount } = await channel.checkQueue(one.queue);
    expect(messageCount).toBe(5);
    const free = await opened.consume([one.queue]);
    const rest = await take(free, 5);
    await free.settle(rest.map(ack));
    for (const gate of gates) gate.resolve();
    if (n === 2) await channel.deleteQueue(`${one.queue}-2`);
  });

  it.each([1, 2])('of %i queue(s) takes nothing that it cannot run, not even for a moment', async (n) => {
    const one = app(opened.driver);
    const done = deferred();
    let running = 0;
    one.task('wait', () => {
      running += 1;
      return done.promise;
    });
    const queues = n === 1 ? [one.queue] : [one.queue, `${one.queue}-2`];
    for (let sent = 0; sent < 10; sent += 1) await one.sender.sendTask('wait');
    const worker = await one.work({ concurrency: 2, queues });
    await eventually(() => expect(running).toBe(2));
    const channel = await admin.createChannel();
    await eventually(async () => expect((await channel.checkQueue(one.queue)).messageCount).toBe(8));
    const other = await opened.consume([one.queue]);
    const rest = await take(other, 8);
    // What was here before would come for the second time.
    expect(rest.map(({ run, redelivered }) => [run, redelivered])).toEqual(rest.map(() => [1, false]));
    expect(await other.settle(rest.map(ack))).toEqual(rest.map(() => 'settled'));
    done.resolve();
    await worker.stop();
    if (n === 2) await channel.deleteQueue(`${one.queue}-2`);
  });

  it('settles a message once, however often and by whatever ways at once it is asked to', async () => {
    const queue = `w-${randomUUID().slice(0, 13)}`;
    await opened.broker.publish([outgoing(queue), outgoing(queue)]);
    const consumer = await opened.consume([queue]);
    const [first, second] = await take(consumer, 2);
    const answers = await Promise.all([
      // It takes its time, and the others come meanwhile.
      consumer.settle([{ kind: 'dead-letter', delivery: first!, reason: 'x' }]),
      consumer.settle([ack(first!), ack(first!)]),
      consumer.settle([{ kind: 'release', delivery: first! }]),
      consumer.settle([{ kind: 'replace', delivery: first!, message: outgoing(queue) }]),
    ]);
    expect(answers.flat()).toEqual(['settled', 'lost', 'lost', 'lost', 'lost']);
    expect(await consumer.settle([ack(first!)])).toEqual(['lost']);
    // A second acknowledgement would have closed the channel, and lost the other message.
    expect(await consumer.extend([second!], 1)).toEqual(['extended']);
    expect(await consumer.settle([ack(second!)])).toEqual(['settled']);
    await consumer.close();
    const channel = await admin.createChannel();
    await eventually(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(0));
  });

  it('parks a message of Python’s that came before its eta, and runs others meanwhile', async () => {
    const one = app(opened.driver);
    const ran: [unknown, number][] = [];
    one.task('run', (name: string) => void ran.push([name, Date.now()]));
    const worker = await one.work({ concurrency: 1 });
    const eta = Date.now() + 6_000;
    const message = (name: string, more: object): ReturnType<typeof outgoing> => {
      const base = outgoing(one.queue);
      const headers = { ...base.message.headers, task: 'run', lang: 'py', ...more };
      const body = Buffer.from(JSON.stringify([[name], {}, {}]));
      return { ...base, task: 'run', message: { ...base.message, headers, body } };
    };
    await opened.broker.publish([message('later', { eta: new Date(eta).toISOString() }), message('now', {})]);
    await eventually(() => expect(ran.map(([name]) => name)).toEqual(['now']));
    expect(worker.status()).toMatchObject({ active: 0, buffered: 0 });
    const channel = await admin.createChannel();
    // Given up by the worker: a queue that is used by nobody else may be deleted while nothing is held or waits.
    await eventually(async () => expect((await channel.checkQueue(one.queue)).messageCount).toBe(0));
    await worker.stop();
    expect(ran).toHaveLength(1);
    // What a worker held unacknowledged would be here now: it waits in a level.
    expect((await channel.checkQueue(one.queue)).messageCount).toBe(0);
    await one.work({ concurrency: 1 });
    await eventually(() => expect(ran).toHaveLength(2), 15_000);
    const [, later] = ran;
    expect(later?.[0]).toBe('later');
    expect((later?.[1] ?? 0) - eta).toBeGreaterThanOrEqual(0);
    expect((later?.[1] ?? 0) - eta).toBeLessThan(5_000);
  });

  it('warns at its start of tasks that may run for longer than the server waits, where it can know', async () => {
    const short = await openDriver({ url: amqpUrl as string });
    const one = app(short.driver);
    one.task('long', () => undefined, { timeLimit: '2h' });
    await one.work();
    expect(short.log.filter((line) => line.includes('consumer_timeout'))).toHaveLength(1);
    expect(short.log.join()).toMatch(/7200000 ms.*1800000 ms/);
    const patient = await openDriver({ url: amqpUrl as string, consumerTimeoutMs: 10_800_000 });
    const other = app(patient.driver);
    other.task('long', () => undefined, { timeLimit: '2h' });
    other.task('early', () => undefined, { timeLimit: '9h', ack: 'early' });
    await other.work();
    expect(patient.log.join()).not.toContain('consumer_timeout');
    await Promise.all(apps.splice(0).map((each) => each.close()));
    await Promise.all([short.dispose(), patient.dispose()]);
  });

  it('consumes again when its queue was deleted, within seconds', async () => {
    const one = app(opened.driver);
    const ran: string[] = [];
    one.task('run', (name: string) => void ran.push(name));
    await one.work();
    await one.sender.sendTask('run', ['before']);
    await eventually(() => expect(ran).toEqual(['before']));
    const channel = await admin.createChannel();
    await channel.deleteQueue(one.queue);
    const began = performance.now();
    await one.sender.sendTask('run', ['after']);
    await eventually(() => expect(ran).toEqual(['before', 'after']), 20_000);
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it.each(['one queue', 'two queues'])(
    'of %s keeps what it holds when a queue is deleted that it is not subscribed to just then',
    async (which) => {
      const [gone, other] = [1, 2].map(() => `w-${randomUUID().slice(0, 13)}`) as [string, string];
      const queues = which === 'one queue' ? [gone] : [gone, other];
      await opened.broker.publish(queues.map((queue) => outgoing(queue)));
      const consumer = await opened.consume(queues);
      const held = await take(consumer, queues.length);
      const channel = await admin.createChannel();
      // A worker that is full gives its subscription up.
      await consumer.receive({ max: 1, signal: AbortSignal.timeout(100) });
      await eventually(async () => expect((await channel.checkQueue(gone)).consumerCount).toBe(0));
      await channel.deleteQueue(gone);
      expect(await consumer.receive({ max: 1, signal: AbortSignal.timeout(500) })).toEqual([]);
      await expect(channel.checkQueue(gone)).resolves.toMatchObject({ messageCount: 0 });
      expect(await consumer.settle(held.map(ack))).toEqual(held.map(() => 'settled'));
      await opened.broker.publish([outgoing(gone)]);
      await consumer.settle((await take(consumer, 1)).map(ack));
    },
  );

  it('consumes again when its channel was closed by an error, and what it held comes back', async () => {
    const queue = `w-${randomUUID().slice(0, 13)}`;
    await opened.broker.publish([outgoing(queue)]);
    const consumer = await opened.consume([queue]);
    const [held] = await take(consumer, 1);
    breakChannel(consumer);
    await eventually(async () => expect(await consumer.extend([held!], 1)).toEqual(['lost']));
    const [again] = await take(consumer, 1, 20_000);
    expect([idOf(again), again?.lostLeases]).toEqual([idOf(held), 0]);
    await consumer.settle([ack(again!)]);
  });

  it.each([
    ['whose id is longer than a property may be', { id: 'i'.repeat(300) }, 'counted'],
    ['whose headers have no room for its counters', { text: 'x'.repeat(65_440) }, 'uncounted'],
  ])('gets a message %s, also when it came back, and gives it back', async (_name, more, how) => {
    const queue = `w-${randomUUID().slice(0, 13)}`;
    const one = await openDriver({ url: amqpUrl as string });
    await one.broker.declare([{ name: queue }]);
    const channel = await admin.createChannel();
    const { body, headers } = outgoing(queue).message;
    channel.sendToQueue(queue, Buffer.from(body), { headers: { ...headers, ...more } });
    await eventually(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(1));
    // As from a process that died.
    const lost = await channel.get(queue);
    if (lost !== false) channel.nack(lost, false, true);
    const consumer = await one.consume([queue]);
    const [first] = await take(consumer, 1, 5_000);
    expect(first?.message.headers).toEqual({ ...headers, ...more });
    expect(one.log.filter((line) => line.includes('cannot be counted')).length).toBe(how === 'counted' ? 0 : 1);
    expect(await consumer.settle([{ kind: 'release', delivery: first! }])).toEqual(['settled']);
    const [second] = await take(consumer, 1, 5_000);
    expect(second?.lostLeases).toBe(0);
    // Whoever ends gives back what it holds.
    await consumer.close();
    await eventually(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(1));
    const [third] = await take(await one.consume([queue]), 1, 5_000);
    expect(third?.message.headers).toEqual({ ...headers, ...more });
    await channel.close();
    await one.dispose();
  });
});

function poolOf(worker: Worker): { resize(size: number): void } {
  return (worker as unknown as { pool: { resize(size: number): void } }).pool;
}

/** Says something on the consumer's channel that the server closes it for. */
function breakChannel(consumer: object): void {
  const { session } = consumer as { session: { channel: { ack(message: object): void } } };
  session.channel.ack({ fields: { deliveryTag: 4_711 } });
}
