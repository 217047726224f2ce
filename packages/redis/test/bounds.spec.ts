import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { redisIsInstalled, RedisServer } from '../../../test/support/redis-server.js';
import { PRIORITY_SCHEMES } from '../src/kombu-priority.js';
import type { QueueKeys } from '../src/redis-keys.js';
import { RedisKeys } from '../src/redis-keys.js';
import { callScript, scriptNamed } from '../src/redis-script.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';

/** More than a script reads in one call, in messages that are far fewer than it takes. */
const LONG_MESSAGES = 60;
const LONG_BODY = 'x'.repeat(200_000);

/** The server does nothing else while a script runs, so none may work without an end, whatever it is given. */
describe.skipIf(!redisIsInstalled)('the work of one call has an end', { timeout: 60_000 }, () => {
  let server: RedisServer;
  let admin: Redis;
  let opened: OpenedDriver;
  let queue: string;
  let keys: QueueKeys;

  beforeEach(async () => {
    server = await RedisServer.create();
    admin = new Redis(server.port);
    opened = await openDriver({ url: server.url });
    queue = `q-${randomUUID()}`;
    keys = new RedisKeys('', false, PRIORITY_SCHEMES.own).queue(queue);
  });

  afterEach(async () => {
    await opened.driver.close();
    admin.disconnect();
    await server.remove();
  });

  const long = (delayMs?: number) => {
    const message = outgoing(queue, delayMs === undefined ? {} : { delayMs });
    return { ...message, message: { ...message.message, body: LONG_BODY } };
  };

  it('of a purge of long messages, and all of them are deleted in the end', async () => {
    await opened.broker.publish(Array.from({ length: LONG_MESSAGES }, () => long()));
    const names = [...keys.ready, keys.suspects, keys.delayed, keys.delayedMessages, keys.ids];
    const [deleted, more] = (await callScript(admin, scriptNamed('purge'), names, [500])) as [number, number];
    expect(more).toBe(1);
    expect(deleted).toBeLessThan(LONG_MESSAGES);
    expect(await opened.inspector.purge(queue)).toBe(LONG_MESSAGES - deleted);
    expect(await admin.scard(keys.ids)).toBe(0);
  });

  it('of a bulk, which arrives in its order also when a queue of it has to be made known', async () => {
    await opened.broker.publish([outgoing(queue)]);
    const consumer = await opened.consume([queue]);
    await consumer.settle((await take(consumer, 1)).map(ack));
    const bulk = Array.from({ length: 250 }, (_, index) => outgoing(index === 0 ? `${queue}-new` : queue));
    await opened.broker.publish(bulk);
    expect((await take(consumer, 249)).map(idOf)).toEqual(bulk.slice(1).map(({ id }) => id));
  });

  it('of a purge while somebody goes on sending', async () => {
    await opened.broker.publish([outgoing(queue)]);
    let sending = true;
    const producer = await openDriver({ url: server.url });
    const sender = async (): Promise<void> => {
      while (sending) await producer.broker.publish([outgoing(queue), outgoing(queue)]);
    };
    const senders = Array.from({ length: 100 }, sender);
    expect(await opened.inspector.purge(queue)).toBeGreaterThan(0);
    sending = false;
    await Promise.all(senders);
    await producer.driver.close();
  });

  it('of a promotion of long messages that fall due at once, and all of them arrive', async () => {
    await opened.broker.publish(Array.from({ length: LONG_MESSAGES }, () => long(60_000)));
    // Nobody here looks for another while: they are made due behind everybody's back.
    const ids = await admin.zrange(keys.delayed, '0', '-1');
    const overdue = ids.flatMap((id, index) => [index + 1, id]);
    await admin.zadd(keys.delayed, ...overdue);
    const names = [...keys.ready, keys.suspects, keys.delayed, keys.delayedMessages, keys.ids, keys.state, keys.wake];
    const answer = (await callScript(admin, scriptNamed('promote'), names, [500])) as number[];
    expect(answer[3]).toBe(1);
    expect(answer[0]).toBeGreaterThan(0);
    expect(answer[0]).toBeLessThan(LONG_MESSAGES);
    const consumer = await opened.consume([queue]);
    const deliveries = await take(consumer, LONG_MESSAGES);
    expect(deliveries.map(idOf)).toEqual(ids);
    await consumer.settle(deliveries.map(ack));
    expect(await admin.exists(keys.delayed, keys.delayedMessages, keys.ids)).toBe(0);
  });

  it('of a look for a revoked task among long messages, and it is found', async () => {
    const messages = Array.from({ length: LONG_MESSAGES }, () => long());
    await opened.broker.publish(messages);
    const last = messages.at(-1)?.id as string;
    const own = [...keys.ready, keys.suspects, keys.delayed, keys.delayedMessages, keys.ids, keys.wake, 'result'];
    const looked = await callScript(admin, scriptNamed('revoke'), own, [0, 1_000, last, '', '', '', '']);
    const [removed, next] = looked as [string[], number];
    expect(removed).toEqual([]);
    expect(next).toBeGreaterThan(0);
    expect(next).toBeLessThan(LONG_MESSAGES);
    const request = { taskId: last, terminate: false, expiresAt: Date.now() + 60_000, waiting: 'drop' as const };
    expect(await opened.revocations.revoke([request])).toEqual([last]);
  });

  it('of a look for revoked tasks, and none is passed over that came nearer when another was taken out', async () => {
    const messages = Array.from({ length: 1_100 }, () => outgoing(queue));
    await opened.broker.publish(messages);
    const wanted = [messages[5], messages[6], messages[1_000], messages[1_001]].map((one) => one?.id as string);
    const expiresAt = Date.now() + 60_000;
    const requests = wanted.map((taskId) => ({ taskId, terminate: false, expiresAt, waiting: 'drop' as const }));
    expect(new Set(await opened.revocations.revoke(requests))).toEqual(new Set(wanted));
  });

  it('of the remembering and the reading of many revocations', async () => {
    const expiresAt = Date.now() + 60_000;
    const ids = Array.from({ length: 5_000 }, () => randomUUID());
    await opened.revocations.revoke(
      ids.map((taskId) => ({ taskId, terminate: false, expiresAt, waiting: 'leave' as const })),
    );
    const calls = async (command: string): Promise<number> =>
      Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await admin.info('commandstats'))?.[1] ?? 0);
    expect(await calls('evalsha')).toBeGreaterThanOrEqual(ids.length / 1_000);
    const before = await calls('zrangebyscore');
    const { revocations, marker } = await opened.revocations.since(undefined);
    expect(revocations.map(({ taskId }) => taskId)).toEqual(ids);
    expect((await calls('zrangebyscore')) - before).toBeGreaterThanOrEqual(ids.length / 1_000);
    expect(await opened.revocations.since(marker)).toEqual({ revocations: [], marker });
  });

  it('of a look at the results of more tasks than a call has arguments', async () => {
    const ids = Array.from({ length: 200_000 }, (_, index) => `task-${index}`);
    const taskId = ids.at(-1) as string;
    await opened.results.put([{ taskId, state: 'SUCCESS', name: 't', run: 1, attempts: 1 }]);
    const records = await opened.results.get(ids);
    expect(records).toHaveLength(ids.length);
    expect(records.at(-1)?.state).toBe('SUCCESS');
  });

  it('of an acknowledgement of as many as were held while results could not be kept', async () => {
    const count = 9_000;
    await opened.broker.publish(Array.from({ length: count }, () => outgoing(queue)));
    const consumer = await opened.consume([queue]);
    const deliveries = await take(consumer, count, 30_000);
    const outcomes = await consumer.settle(deliveries.map(ack));
    expect(new Set(outcomes)).toEqual(new Set(['settled']));
    expect(outcomes).toHaveLength(count);
    await eventually(async () => expect(await admin.exists(keys.ids)).toBe(0));
  });
});
