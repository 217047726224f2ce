import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisIsInstalled, RedisServer } from '../../../test/support/redis-server.js';
import { createDriver } from '../src/index.js';
import { openDriver } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

describe.skipIf(!redisIsInstalled)('at the start', () => {
  let server: RedisServer;
  let admin: Redis;

  beforeAll(async () => {
    server = await RedisServer.create();
    admin = new Redis(server.port);
  });

  afterAll(async () => {
    admin.disconnect();
    await server.remove();
  });

  const failure = async (url: string): Promise<Error> => {
    const driver = createDriver(url);
    return driver.connect({ logger: silentLogger }).then(
      () => Promise.reject(new Error('it connected')),
      (error: unknown) => error as Error,
    );
  };

  it('a server that may evict tasks is refused, or said where that is accepted', async () => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      const error = await failure(server.url);
      expect(isTaskQueueError(error, 'CONFIGURATION_INVALID')).toBe(true);
      expect(error.message).toContain('maxmemory-policy');
      expect(error.message).toContain('allkeys-lru');
      const opened = await openDriver({ url: server.url, eviction: 'warn' });
      expect(opened.log.join()).toContain('Redis may evict tasks');
      await opened.driver.close();
    } finally {
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  it('a server that is too old is refused', async () => {
    // Says of itself what Redis 6.0 does, and nothing more.
    const info = '# Server\r\nredis_version:6.0.16\r\nloading:0\r\nmaxmemory_policy:noeviction\r\n';
    const old = createServer((socket) => {
      socket.on('data', (data) => {
        for (const _ of data.toString().matchAll(/\r\n(?:info|client)\r\n/gi)) {
          socket.write(`$${info.length}\r\n${info}\r\n`);
        }
      });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    const error = await failure(`redis://127.0.0.1:${(old.address() as AddressInfo).port}`);
    expect(isTaskQueueError(error, 'CONFIGURATION_INVALID')).toBe(true);
    expect(error.message).toContain('6.2 or newer, got "6.0.16"');
    await new Promise((resolve) => old.close(resolve));
  });

  it('a server that is not there is BROKER_UNAVAILABLE, and so is a wrong password, which is not shown', async () => {
    expect(isTaskQueueError(await failure('redis://127.0.0.1:1'), 'BROKER_UNAVAILABLE')).toBe(true);
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>right', '~*', '&*', '+@all');
    const error = await failure(`redis://app:hunter2@127.0.0.1:${server.port}`);
    expect(isTaskQueueError(error, 'BROKER_UNAVAILABLE')).toBe(true);
    expect(error.message).toContain('WRONGPASS');
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain('hunter2');
  });

  it('a connection that failed can be tried again', async () => {
    const driver = createDriver(`redis://late:secret@127.0.0.1:${server.port}`);
    await expect(driver.connect({ logger: silentLogger })).rejects.toThrow('WRONGPASS');
    await admin.call('ACL', 'SETUSER', 'late', 'on', '>secret', '~*', '&*', '+@all');
    await driver.connect({ logger: silentLogger });
    await driver.ping();
    await Promise.all([driver.close(), driver.close()]);
    await driver.close();
    await expect(driver.ping()).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
  });

  it('a worker is told which commands its user lacks', async () => {
    await admin.call('ACL', 'SETUSER', 'half', 'on', '>x', '~*', '&*', '+@all', '-hdel', '-zadd');
    const opened = await openDriver({ url: `redis://half:x@127.0.0.1:${server.port}` });
    const error = await opened.consume(['q']).catch((caught: unknown) => caught);
    expect(isTaskQueueError(error, 'CONFIGURATION_INVALID')).toBe(true);
    expect(String(error)).toMatch(/no permission for (ZADD, HDEL|HDEL, ZADD)/);
    await opened.driver.close();
  });

  it('a worker is told that its user may not wait for messages', async () => {
    await admin.call('ACL', 'SETUSER', 'restless', 'on', '>x', '~*', '&*', '+@all', '-bzpopmin');
    const opened = await openDriver({ url: `redis://restless:x@127.0.0.1:${server.port}` });
    const error = await opened.consume(['q']).catch((caught: unknown) => caught);
    expect(isTaskQueueError(error, 'CONFIGURATION_INVALID')).toBe(true);
    expect(String(error)).toContain('no permission for BZPOPMIN');
    await opened.driver.close();
  });

  it('a user without channels, as users are made by default, is told so, and works without them', async () => {
    await admin.call('ACL', 'SETUSER', 'deaf', 'reset', 'on', '>x', '~*', '+@all', 'resetchannels');
    const opened = await openDriver({ url: `redis://deaf:x@127.0.0.1:${server.port}` });
    const consumer = await opened.consume(['deaf']);
    const receiving = consumer.receive({ max: 1, signal: AbortSignal.timeout(20_000) });
    await eventually(() => expect(opened.log.join()).toContain('looked for once a second'));
    const watching = opened.results.watch?.(['x'], AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next();
    await expect(watching).rejects.toSatisfy((error) => isTaskQueueError(error, 'CAPABILITY_UNSUPPORTED'));
    const message = outgoing('deaf');
    await opened.broker.publish([message]);
    expect((await receiving).map((one) => one.message.headers['id'])).toEqual([message.id]);
    await opened.driver.close();
  });

  it('a user who may not ask for the number of a connection hears of results all the same', async () => {
    await admin.call('ACL', 'SETUSER', 'nameless', 'on', '>x', '~*', '&*', '+@all', '-client|id');
    const opened = await openDriver({ url: `redis://nameless:x@127.0.0.1:${server.port}` });
    const watching = opened.results.watch?.(['x'], AbortSignal.timeout(10_000))[Symbol.asyncIterator]().next();
    await eventually(async () => {
      const [, listeners] = (await admin.pubsub('NUMSUB', 'celery-task-meta-x')) as [string, number];
      expect(Number(listeners)).toBe(1);
    });
    await opened.results.put([{ taskId: 'x', state: 'SUCCESS', name: 't', run: 1, attempts: 1 }]);
    expect(await watching).toMatchObject({ done: false, value: { taskId: 'x', state: 'SUCCESS' } });
    await opened.driver.close();
  });

  it('a worker is told of queues that its user may not touch', async () => {
    await admin.call('ACL', 'SETUSER', 'mine', 'on', '>x', '~mine*', '~taskqueue:*', '~_kombu*', '&*', '+@all');
    const opened = await openDriver({ url: `redis://mine:x@127.0.0.1:${server.port}` });
    await (await opened.consume(['mine'])).close();
    const error = await opened.consume(['mine', 'others']).catch((caught: unknown) => caught);
    expect(String(error)).toContain('queue others');
    const [outcome] = await opened.broker.publish([outgoing('others')]);
    expect(outcome).toMatchObject({ status: 'refused', error: { code: 'CAPABILITY_UNSUPPORTED' } });
    expect(String(outcome && 'error' in outcome && outcome.error)).toMatch(/ACL SETUSER/);
    await opened.driver.close();
  });

  it('what a closed driver is asked for fails as unavailable', async () => {
    const opened = await openDriver({ url: server.url });
    const consumer = await opened.consume(['q']);
    await opened.driver.close();
    const [outcome] = await opened.broker.publish([outgoing('q')]);
    expect(outcome).toMatchObject({ status: 'refused', error: { code: 'BROKER_UNAVAILABLE' } });
    // A worker that was not stopped first waits between its tries.
    const receiving = consumer.receive({ max: 1, signal: AbortSignal.timeout(1_000) });
    await expect(receiving).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
  });
});
