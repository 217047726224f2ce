import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { OutgoingMessage } from '../../src/ports/broker.js';
import { FakeClock } from '../../src/testing/fake-clock.js';
import { FaultyDriver } from '../../src/testing/faulty-driver.js';
import { QueueUnderTest } from '../worker/worker-under-test.js';

describe('FaultyDriver', () => {
  let faulty: FaultyDriver;
  let queue: QueueUnderTest;

  beforeEach(() => {
    faulty = new FaultyDriver(memoryDriver());
    queue = new QueueUnderTest({}, faulty);
  });
  afterEach(() => queue.close());

  it('is the driver while nothing is broken', async () => {
    queue.task('add', (a: number, b: number) => a + b);
    await queue.work();
    const handle = await queue.send('add', [2, 3]);
    expect(await handle.get({ timeout: '5s' })).toBe(5);
  });

  it('is down, without effect, until it is up', async () => {
    faulty.down();
    await expect(queue.send('add', [], { retry: false })).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    await expect(faulty.ping()).rejects.toThrow('driver.ping is down');
    faulty.up();
    expect(await faulty.inspector?.queues()).toEqual([]);
  });

  it('is down for some operations only', async () => {
    faulty.down(['broker.publish']);
    await expect(queue.send('add', [], { retry: false })).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    await faulty.ping();
  });

  it('loses a reply after the effect, and the client publishes the same task once all the same', async () => {
    faulty.loseReply('broker.publish');
    const { id } = await queue.send('add', [1, 2]);
    const waiting = await faulty.inspector?.peek({ queue: 'default', status: 'ready', limit: 10 });
    expect(waiting?.map((message) => message.id)).toEqual([id]);
  });

  it('delivers twice', async () => {
    const message = { id: 't1', task: 't', queue: 'default', priority: 0, message: {} } as unknown as OutgoingMessage;
    await faulty.broker?.publish([message]);
    faulty.deliverTwice();
    const consumer = await faulty.broker?.consume({ queues: ['default'], consumerId: 'c', leaseMs: 1_000 });
    const deliveries = await consumer?.receive({ max: 10, signal: new AbortController().signal });
    expect(deliveries?.map((delivery) => delivery.redelivered)).toEqual([false, true]);
    const settlements = (deliveries ?? []).map((delivery) => ({ kind: 'ack', delivery }) as const);
    expect(await consumer?.settle(settlements)).toEqual(['settled', 'lost']);
    await consumer?.close();
  });

  it('is slow on its clock', async () => {
    const clock = new FakeClock(0);
    const slow = new FaultyDriver(memoryDriver({ clock }), { clock });
    slow.slow('2s');
    let answered = false;
    const ping = slow.ping().then(() => (answered = true));
    await clock.advance(1_999);
    expect(answered).toBe(false);
    await clock.advance(1);
    expect(answered).toBe(true);
    await ping;
  });

  it('breaks locks, barriers and pub/sub, and leaves subscriptions as they are', async () => {
    const heard: string[] = [];
    const channel = { exchange: 'x', kind: 'fanout', key: '' } as const;
    const message = { headers: {}, properties: {}, contentType: '', contentEncoding: '', body: new Uint8Array() };
    const subscription = faulty.pubsub?.subscribe([channel], (publication) => heard.push(publication.channel.exchange));
    await subscription?.ready;
    faulty.down(['pubsub.publish', 'barriers.arrive']);
    await expect(faulty.pubsub?.publish([{ channel, message }])).rejects.toThrow('pubsub.publish is down');
    await expect(faulty.barriers?.arrive([])).rejects.toThrow('barriers.arrive is down');
    faulty.up();
    faulty.loseReply('locks.acquire');
    const request = { key: 'k', owner: 'a', permits: 1, ttlMs: 60_000 };
    await expect(faulty.locks?.acquire([request])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    const [again] = (await faulty.locks?.acquire([request])) ?? [];
    expect(again).toEqual({ status: 'acquired', token: (await faulty.locks?.holders('k'))?.[0]?.token });
    await faulty.pubsub?.publish([{ channel, message }]);
    expect(heard).toEqual(['x']);
    await subscription?.close();
  });
});
