import type { Consumer, Delivery, Driver, OutgoingMessage } from '@taskqueue/core';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { createDriver } from '../src/index.js';
import { LUA } from '../src/generated/lua.js';
import { scriptNamed } from '../src/redis-script.js';
import { Fleet } from './fleet.js';
import { outgoing } from '../../../test/support/outgoing.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { PrivateRedis } from './private-redis.js';

const isUnavailable = (error: unknown): boolean => isTaskQueueError(error, 'BROKER_UNAVAILABLE');
const QUEUE = 'default';

describe.skipIf(!redisIsInstalled)('a reply that is lost after the request took effect', { timeout: 60_000 }, () => {
  let server: PrivateRedis;
  let proxy: FaultProxy;
  /** Through the proxy. */
  let driver: Driver;
  let direct: Driver;

  beforeEach(async () => {
    server = await PrivateRedis.start();
    // Else the first call of each is answered by NOSCRIPT, and that answer would be lost.
    for (const lua of Object.values(LUA)) await server.command('script', 'load', lua);
    proxy = await FaultProxy.open({ host: '127.0.0.1', port: server.port });
    driver = createDriver(`redis://127.0.0.1:${proxy.port}/0`);
    direct = createDriver(server.url);
    await Promise.all([driver, direct].map((one) => one.connect({ logger: silentLogger })));
  });
  afterEach(async () => {
    await Promise.all([driver, direct].map((one) => one.close()));
    await proxy.close();
    await server.dispose();
  });

  const facts = async () => {
    const queue = (await direct.inspector?.queues())?.find(({ name }) => name === QUEUE);
    return [queue?.ready, queue?.delayed, queue?.leased, queue?.dead];
  };
  const publish = async (message: OutgoingMessage) => (await driver.broker?.publish([message]))?.[0]?.status;
  const consume = (on: Driver): Promise<Consumer> =>
    on.broker?.consume({ queues: [QUEUE], consumerId: 'c', leaseMs: 30_000 }) as Promise<Consumer>;
  const receive = (consumer: Consumer): Promise<Delivery> =>
    eventually(async () => {
      const [delivery] = await consumer.receive({ max: 1, signal: AbortSignal.timeout(3_000) });
      expect(delivery).toBeDefined();
      return delivery as Delivery;
    });

  it.each([
    ['ready', {}, [1, 0, 0, 0]],
    ['delayed', { delayMs: 60_000 }, [0, 1, 0, 0]],
  ])('of a publication that is %s: it is there once, and told so', async (_what, overrides, expected) => {
    const message = outgoing(QUEUE, overrides);
    const lost = proxy.loseReply(message.id);
    expect(await publish(message)).toBe('unknown');
    await lost;
    expect(await facts()).toEqual(expected);
    expect(await publish(message)).toBe('duplicate');
    expect(await facts()).toEqual(expected);
  });

  it('is told from a request that never arrived', async () => {
    // The queue is known from now on, so that the next request is the publication.
    await publish(outgoing(QUEUE));
    const message = outgoing(QUEUE);
    const cut = proxy.cutAfter(20, 'to-server');
    expect(await publish(message)).toBe('unknown');
    await cut;
    expect(await facts()).toEqual([1, 0, 0, 0]);
    await eventually(async () => expect(await publish(message)).toBe('accepted'));
    expect(await facts()).toEqual([2, 0, 0, 0]);
  });

  it('of a claim: what nobody saw is handed out again, and nobody is blamed', async () => {
    const consumer = await consume(driver);
    const waiting = consumer.receive({ max: 1, signal: AbortSignal.timeout(20_000) });
    await eventually(async () => {
      const sleepers = await server.clients('taskqueue:sleeper');
      expect(sleepers.some(({ flags }) => flags.includes('b'))).toBe(true);
    });
    const lost = proxy.loseReply(scriptNamed('exchange').sha);
    const message = outgoing(QUEUE);
    await direct.broker?.publish([message]);
    await lost;
    const [first] = await waiting.catch(() => []);
    const delivery = first ?? (await receive(consumer));
    expect([delivery.message.headers['id'], delivery.lostLeases]).toEqual([message.id, 0]);
    expect(await consumer.settle([{ kind: 'ack', delivery }])).toEqual(['settled']);
    expect(await facts()).toEqual([0, 0, 0, 0]);
  });

  it.each(['ack', 'dead-letter', 'replace', 'release'] as const)(
    'of a settlement (%s): it is done once, and cannot be done again',
    async (kind) => {
      const consumer = await consume(driver);
      const [message, follower] = [outgoing(QUEUE), outgoing('followers')];
      await direct.broker?.publish([message]);
      const delivery = await receive(consumer);
      const effects = {
        results: [{ taskId: message.id, state: 'SUCCESS' as const, name: 'work', run: delivery.run, attempts: 1 }],
        publish: [follower],
      };
      const settlement = {
        ack: { kind: 'ack', delivery, effects },
        'dead-letter': { kind: 'dead-letter', delivery, reason: 'on purpose', effects },
        replace: { kind: 'replace', delivery, message: outgoing(QUEUE, { id: message.id, delayMs: 60_000 }), effects },
        release: { kind: 'release', delivery },
      }[kind] as Parameters<Consumer['settle']>[0][number];
      const lost = proxy.loseReply(scriptNamed('settle').sha);
      await expect(consumer.settle([settlement])).rejects.toSatisfy(isUnavailable);
      await lost;
      const expected = { ack: [0, 0, 0, 0], 'dead-letter': [0, 0, 0, 1], replace: [0, 1, 0, 0], release: [1, 0, 0, 0] };
      expect(await facts()).toEqual(expected[kind]);
      await eventually(async () => expect(await consumer.settle([settlement])).toEqual(['lost']));
      expect(await facts()).toEqual(expected[kind]);
      const queues = await direct.inspector?.queues();
      const followers = queues?.find((queue) => queue.name === 'followers');
      expect(followers?.ready ?? 0).toBe(kind === 'release' ? 0 : 1);
      const [record] = (await direct.results?.get([message.id])) ?? [];
      expect(record?.state).toBe(kind === 'release' ? undefined : 'SUCCESS');
    },
  );

  it('of an acknowledgement: those that go with it when it is tried again are done wholly', async () => {
    const consumer = await consume(driver);
    const messages = [outgoing(QUEUE), outgoing(QUEUE)] as const;
    await direct.broker?.publish(messages);
    const deliveries = [await receive(consumer), await receive(consumer)];
    const [first, second] = deliveries.map((delivery) => ({ kind: 'ack', delivery }) as const);
    const lost = proxy.loseReply(scriptNamed('exchange').sha);
    await expect(consumer.settle([first as never])).rejects.toSatisfy(isUnavailable);
    await lost;
    const again = (): Promise<unknown> => consumer.settle([first as never, second as never]);
    await eventually(async () => expect(await again()).toEqual(['lost', 'settled']));
    expect(await facts()).toEqual([0, 0, 0, 0]);
    // Their ids are free again: who uses one sends a task, not a duplicate.
    for (const { id } of messages) {
      expect(await direct.broker?.publish([outgoing(QUEUE, { id })])).toEqual([{ status: 'accepted' }]);
    }
  });

  it.each([false, true])('of what workers end, again and again (results ignored: %s)', async (ignoreResult) => {
    const workers = [1, 2].map(() => createDriver(`redis://127.0.0.1:${proxy.port}/0`));
    const fleet = await Fleet.open(createDriver(server.url), workers, { ignoreResult });
    try {
      await fleet.survives(async () => {
        for (let time = 0; time < 15; time += 1) {
          // The first request of a worker that names a task is the one that ends it.
          const lost = proxy.loseReply(fleet.nextId);
          await lost;
        }
      });
    } finally {
      await fleet.close();
    }
  });
});
