import { randomUUID } from 'node:crypto';
import type { Consumer, Delivery } from '@taskqueue/core';
import { silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeGroup } from '../src/exchange.js';
import { PRIORITY_SCHEMES } from '../src/kombu-priority.js';
import { RedisConnection } from '../src/redis-connection.js';
import type { QueueKeys } from '../src/redis-keys.js';
import { RedisKeys } from '../src/redis-keys.js';
import type { Receipt } from '../src/redis-lease.js';
import { RedisLease } from '../src/redis-lease.js';
import { resolveOptions } from '../src/redis-options.js';
import { callScript, scriptNamed } from '../src/redis-script.js';
import { createNamespace, redisUrl } from './namespace.js';
import type { Namespace } from './namespace.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const SHORT_LEASE_MS = 100;

describe.skipIf(redisUrl === undefined)('leases in Redis', () => {
  let space: Namespace;
  let opened: OpenedDriver;

  beforeAll(async () => {
    space = createNamespace();
    opened = await openDriver({ url: space.url });
  });

  afterAll(async () => {
    await opened.driver.close();
    await space.dispose();
  });

  const recovered = async (count: number): Promise<void> => {
    let sum = 0;
    await expect
      .poll(async () => (sum += (await opened.broker.recover?.())?.recovered ?? 0), { timeout: 5_000 })
      .toBe(count);
  };
  const facts = async (queue: string): Promise<unknown> => {
    const { ready, delayed, leased, dead } = (await opened.inspector.queues()).find(
      (one) => one.name === queue,
    ) as never;
    return [ready, delayed, leased, dead];
  };

  it('refuse a zombie every settlement with all that rides with it, in one batch with what it still holds', async () => {
    const [lost, kept] = [`q-${randomUUID()}`, `q-${randomUUID()}`];
    const zombie = await opened.consume([lost], SHORT_LEASE_MS);
    await opened.broker.publish([outgoing(lost), outgoing(lost), outgoing(lost), outgoing(lost)]);
    const [a, b, c, d] = (await take(zombie, 4)) as [never, never, never, never];
    await recovered(4);
    await opened.broker.publish([outgoing(kept)]);
    const follower = outgoing(kept);
    const result = { taskId: String(idOf(a)), state: 'SUCCESS' as const, name: 't', run: 1, attempts: 1 };
    const outcomes = await zombie.settle([
      { kind: 'ack', delivery: a, effects: { results: [result], publish: [follower] } },
      { kind: 'release', delivery: b },
      {
        kind: 'replace',
        delivery: c,
        message: outgoing(kept, { id: String(idOf(c)) }),
        effects: { publish: [follower] },
      },
      { kind: 'dead-letter', delivery: d, reason: 'x', effects: { results: [result] } },
    ]);
    expect(outcomes).toEqual(['lost', 'lost', 'lost', 'lost']);
    expect(await opened.results.get([result.taskId])).toEqual([undefined]);
    expect(await facts(kept)).toEqual([1, 0, 0, 0]);
    expect(await facts(lost)).toEqual([4, 0, 0, 0]);
  });

  it('apply what rides with a settlement once each, and leave out a follow-up that is there already', async () => {
    const [queue, next] = [`q-${randomUUID()}`, `q-${randomUUID()}`];
    const consumer = await opened.consume([queue]);
    const [first, second] = [outgoing(queue), outgoing(queue)];
    await opened.broker.publish([first, second]);
    const [one, two] = (await take(consumer, 2)) as [never, never];
    const follower = outgoing(next, { delayMs: 60_000 });
    const results = [first, second].map((message) => ({
      taskId: message.id,
      state: 'SUCCESS' as const,
      name: 't',
      run: 1,
      attempts: 1,
    }));
    const settle = await consumer.settle([
      { kind: 'ack', delivery: one, effects: { results: [results[0] as never], publish: [follower, outgoing(next)] } },
      { kind: 'ack', delivery: two, effects: { results: [results[1] as never], publish: [follower] } },
    ]);
    expect(settle).toEqual(['settled', 'settled']);
    expect(await facts(next)).toEqual([1, 1, 0, 0]);
    expect((await opened.results.get([first.id, second.id])).map((record) => record?.state)).toEqual([
      'SUCCESS',
      'SUCCESS',
    ]);
  });

  it('end in their order: a follow-up with the id of one that was acknowledged before it in the batch is a new message', async () => {
    const queue = `q-${randomUUID()}`;
    const consumer = await opened.consume([queue]);
    await opened.broker.publish([outgoing(queue), outgoing(queue)]);
    const [one, two] = (await take(consumer, 2)) as [never, never];
    const result = { taskId: String(idOf(one)), state: 'SUCCESS' as const, name: 't', run: 1, attempts: 1 };
    const again = outgoing(queue, { id: String(idOf(one)) });
    const settle = await consumer.settle([
      { kind: 'ack', delivery: one, effects: { results: [result] } },
      { kind: 'ack', delivery: two, effects: { publish: [again] } },
    ]);
    expect(settle).toEqual(['settled', 'settled']);
    expect(await facts(queue)).toEqual([1, 0, 0, 0]);
    const [third] = await take(consumer, 1);
    expect(idOf(third as never)).toBe(again.id);
    // It is known again, and not taken twice.
    await opened.broker.publish([again]);
    expect(await facts(queue)).toEqual([0, 0, 1, 0]);
  });

  it('of many messages are recovered in batches, in the order in which they were taken', async () => {
    const queue = `q-${randomUUID()}`;
    const messages = Array.from({ length: 250 }, () => outgoing(queue));
    await opened.broker.publish(messages);
    await take(await opened.consume([queue], SHORT_LEASE_MS), 250);
    await recovered(250);
    const heir = await opened.consume([queue]);
    const seen: unknown[] = [];
    while (seen.length < 250) {
      const [one] = await take(heir, 1);
      expect(one?.lostLeases).toBe(1);
      seen.push(idOf(one));
      await heir.settle([ack(one as never)]);
    }
    expect(seen).toEqual(messages.map((one) => one.id));
  });

  it('of a suspect that is given back stand among the suspects again', async () => {
    const queue = `q-${randomUUID()}`;
    const suspect = outgoing(queue);
    await opened.broker.publish([suspect]);
    await take(await opened.consume([queue], SHORT_LEASE_MS), 1);
    await recovered(1);
    const heir = await opened.consume([queue]);
    const [first] = await take(heir, 1);
    await opened.broker.publish([outgoing(queue, { priority: 9 })]);
    await heir.settle([{ kind: 'release', delivery: first as never }]);
    const [again] = await take(heir, 1);
    expect([idOf(again), again?.lostLeases, again?.run]).toEqual([suspect.id, 1, 3]);
    await heir.close();
    const [last] = await take(await opened.consume([queue]), 1);
    expect([idOf(last), last?.lostLeases, last?.run]).toEqual([suspect.id, 1, 4]);
  });

  it('given back by close stand in line as they stood, in batches too', async () => {
    const queue = `q-${randomUUID()}`;
    const messages = Array.from({ length: 250 }, (_, index) => outgoing(queue, { priority: index < 125 ? 0 : 9 }));
    await opened.broker.publish(messages);
    const consumer = await opened.consume([queue]);
    await take(consumer, 250);
    await consumer.close();
    const again = await take(await opened.consume([queue]), 250);
    const urgent = messages.slice(125).map((one) => one.id);
    expect(again.map(idOf)).toEqual([...urgent, ...messages.slice(0, 125).map((one) => one.id)]);
    expect(again.every((one) => one.run === 2 && one.lostLeases === 0)).toBe(true);
  });

  it('of several queues are taken in one call, and lost in the one that was lost', async () => {
    const queues = [`q-${randomUUID()}`, `q-${randomUUID()}`, `q-${randomUUID()}`];
    await opened.broker.publish(queues.map((queue) => outgoing(queue)));
    const consumer = await opened.consume(queues);
    const deliveries = await consumer.receive({ max: 10, signal: AbortSignal.timeout(5_000) });
    expect(deliveries.map((one) => one.queue)).toEqual(queues);
    const [key] = await space.client.keys(`${space.prefix}taskqueue:*${queues[1]}*leased*`);
    await space.client.del(key as string);
    expect(await consumer.extend(deliveries, 30_000)).toEqual(['extended', 'lost', 'extended']);
    await opened.broker.publish(queues.map((queue) => outgoing(queue)));
    expect(await take(consumer, 3)).toHaveLength(3);
    expect(await consumer.settle(deliveries.map(ack))).toEqual(['settled', 'lost', 'settled']);
  });

  it('end with their consumer: nothing of it stays in the server', async () => {
    const queue = `q-${randomUUID()}`;
    const dead: Consumer = await opened.consume([queue], SHORT_LEASE_MS);
    await opened.broker.publish([outgoing(queue)]);
    await take(dead, 1);
    await recovered(1);
    expect(await space.client.keys(`${space.prefix}taskqueue:*${queue}*leased*`)).toEqual([]);
    expect(await space.client.zcard(`${space.prefix}taskqueue:{${space.prefix}${queue}}:consumers`)).toBe(0);
  });

  it('are not taken by a claim that is sent twice, or that comes after its consumer has gone', async () => {
    const queue = `q-${randomUUID()}`;
    const keys = new RedisKeys(space.prefix, false, PRIORITY_SCHEMES.own).queue(queue);
    await opened.broker.publish([outgoing(queue), outgoing(queue), outgoing(queue)]);
    const own = [keys.leased('me'), keys.consumers, keys.wake];
    await callScript(space.client, scriptNamed('register'), own, ['me', 30_000, 1]);
    const claim = async (number: number): Promise<readonly unknown[]> => {
      const { keys: names } = exchangeGroup([keys], 'me');
      return (await callScript(space.client, scriptNamed('exchange'), names, [
        'me',
        30_000,
        1,
        1,
        number,
        PRIORITY_SCHEMES.own.order,
        0,
      ])) as unknown[];
    };
    expect((await claim(1))[0]).toBe(0);
    expect((await claim(1))[0]).toBe(2);
    expect(await facts(queue)).toEqual([2, 0, 1, 0]);
    const left = [...keys.ready, keys.suspects, ...own];
    await callScript(space.client, scriptNamed('return'), left, ['me', 0, -1, -1, 100]);
    expect((await claim(2))[0]).toBe(1);
    expect(await facts(queue)).toEqual([3, 0, 0, 0]);
  });

  it('of a consumer that comes back in the middle of its recovery are all taken away before it takes any', async () => {
    const queue = `q-${randomUUID()}`;
    const keys = new RedisKeys(space.prefix, false, PRIORITY_SCHEMES.own).queue(queue);
    await opened.broker.publish(Array.from({ length: 150 }, () => outgoing(queue)));
    const consumer = await opened.consume([queue], SHORT_LEASE_MS);
    const deliveries = await take(consumer, 150);
    const [name = ''] = await space.client.zrange(keys.consumers, '0', '0');
    const own = [keys.leased(name), keys.consumers, keys.suspects, keys.wake];
    // Whoever recovers dies after the first step.
    await eventually(async () => {
      expect(await callScript(space.client, scriptNamed('recover'), own, [name, 100])).toEqual([100, 50]);
    });
    expect(new Set(await consumer.extend(deliveries, 30_000))).toEqual(new Set(['lost']));
    const [again] = await take(consumer, 1);
    expect(again?.lostLeases).toBe(1);
    expect(await facts(queue)).toEqual([149, 0, 1, 0]);
  });

  it('of many queues are recovered together', async () => {
    const queues = Array.from({ length: 30 }, () => `q-${randomUUID()}`);
    await opened.broker.publish(queues.map((queue) => outgoing(queue)));
    await take(await opened.consume(queues, SHORT_LEASE_MS), 30);
    const last = new RedisKeys(space.prefix, false, PRIORITY_SCHEMES.own).queue(queues.at(-1) as string);
    await eventually(async () => {
      const [seconds] = await space.client.time();
      const [, ends] = await space.client.zrange(last.consumers, '0', '0', 'WITHSCORES');
      expect(Number(seconds) * 1_000).toBeGreaterThan(Number(ends));
    });
    const began = performance.now();
    // And perhaps what other cases have left.
    expect((await opened.broker.recover?.())?.recovered).toBeGreaterThanOrEqual(30);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  it('are renewed where they still stand, while the consumer has to register again elsewhere', async () => {
    const spell = new RedisKeys(space.prefix, false, PRIORITY_SCHEMES.own);
    const queues = [spell.queue(`q-${randomUUID()}`), spell.queue(`q-${randomUUID()}`)];
    const connection = new RedisConnection(resolveOptions({ url: space.url }), () => silentLogger);
    await connection.open();
    const subscription = { queues: queues.map(({ queue }) => queue), consumerId: 'test', leaseMs: 30_000 };
    const lease = new RedisLease({ connection, subscription, queues: () => queues });
    await lease.prepare();
    const deliveries = queues.map((queue, index): Delivery => {
      const receipt: Receipt = {
        queue,
        field: `1.${index}`,
        number: index,
        id: `${index}`,
        isSuspect: false,
        standing: 'held',
      };
      return { receipt, queue: queue.queue, run: 1, lostLeases: 0, redelivered: false, message: outgoing('q').message };
    });
    for (const [index, queue] of queues.entries()) {
      await space.client.hset(queue.leased(lease.consumer), `1.${index}`, '{}');
      // A claim was told that one of them is not registered any more, but not which.
      lease.forget(queue);
    }
    await space.client.del((queues[0] as QueueKeys).leased(lease.consumer));
    expect(await lease.extend(deliveries, 30_000)).toEqual(['lost', 'extended']);
    connection.close();
  });

  it('that cannot be ended as they should be are let go when nobody tries any more', async () => {
    const [queue, other] = [`q-${randomUUID()}`, `q-${randomUUID()}`];
    const message = outgoing(queue);
    await opened.broker.publish([message]);
    const consumer = await opened.consume([queue]);
    const [held] = (await take(consumer, 1)) as [never];
    await space.client.set(space.prefix + other, 'not a list');
    const settlement = { kind: 'ack' as const, delivery: held, effects: { publish: [outgoing(other)] } };
    await expect(consumer.settle([settlement])).rejects.toThrow('WRONGTYPE');
    const [again] = await take(consumer, 1, 20_000);
    expect([idOf(again), again?.lostLeases]).toEqual([message.id, 1]);
    expect(await consumer.settle([ack(held)])).toEqual(['lost']);
    expect(await consumer.settle([ack(again as never)])).toEqual(['settled']);
  });

  it('of a consumer that does not live any more keep the ids of what it holds', async () => {
    const queue = `q-${randomUUID()}`;
    const keys = new RedisKeys(space.prefix, false, PRIORITY_SCHEMES.own).queue(queue);
    const message = outgoing(queue);
    await opened.broker.publish([message]);
    await take(await opened.consume([queue]), 1);
    const [name = ''] = await space.client.zrange(keys.consumers, '0', '0');
    // As the first step of a recovery does.
    await space.client.hdel(keys.leased(name), '@');
    const own = [...keys.ready, keys.suspects, keys.consumers, keys.ids];
    await callScript(space.client, scriptNamed('forget-ids'), own, [keys.leasedPrefix]);
    expect(await opened.broker.publish([message])).toEqual([{ status: 'duplicate' }]);
  });

  it('do not stop at a message that somebody else spoilt', async () => {
    const queue = `q-${randomUUID()}`;
    await space.client.lpush(space.prefix + queue, 'spoilt');
    await opened.broker.declare([{ name: queue }]);
    await take(await opened.consume([queue], SHORT_LEASE_MS), 1);
    await recovered(1);
    const heir = await opened.consume([queue]);
    const [again] = await take(heir, 1);
    expect(Buffer.from(again?.message.body ?? []).toString()).toBe('spoilt');
    expect(await heir.settle([ack(again as never)])).toEqual(['settled']);
  });
});
