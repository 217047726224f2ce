import type { BarrierStore, Driver, LockStore } from '@taskqueue/core';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { PrivateRedis } from './private-redis.js';

const [HOLDERS, TOKENS, BARRIER] = ['taskqueue:{k}:lock', 'taskqueue:{k}:lock:tokens', 'taskqueue:{b}:barrier'];

describe.skipIf(!redisIsInstalled)('locks and barriers on Redis', () => {
  let server: PrivateRedis;
  let driver: Driver;
  let locks: LockStore;
  let barriers: BarrierStore;

  beforeEach(async () => {
    server = await PrivateRedis.start();
    driver = createDriver(server.url);
    await driver.connect({ logger: silentLogger });
    ({ locks, barriers } = driver as Required<Driver>);
  });
  afterEach(async () => {
    await driver.close();
    await server.dispose();
  });

  const acquire = async (owner: string, ttlMs = 30_000): Promise<number> => {
    const [answer] = await locks.acquire([{ key: 'k', owner, permits: 1_000, ttlMs }]);
    if (answer?.status !== 'acquired') throw new Error('held');
    return answer.token;
  };

  it('keep nothing of holders who have gone, and forget the key a minute after the last', async () => {
    const tokens = await Promise.all(['a', 'b', 'c'].map((owner) => acquire(owner)));
    await acquire('short', 50);
    expect(Number(await server.command('pttl', HOLDERS))).toBeGreaterThan(85_000);
    await locks.release(['a', 'b'].map((owner, index) => ({ key: 'k', owner, token: tokens[index] as number })));
    await eventually(async () => {
      await acquire('d');
      expect(await server.command('hlen', TOKENS)).toBe(3);
    });
    expect((await server.command('hkeys', TOKENS)) as string[]).toEqual(expect.arrayContaining(['', 'c', 'd']));
    const held = await locks.holders('k');
    await locks.release(held.map(({ owner, token }) => ({ key: 'k', owner, token })));
    expect(await server.command('exists', HOLDERS)).toBe(0);
    expect(await server.command('hkeys', TOKENS)).toEqual(['']);
    const ttl = Number(await server.command('pttl', TOKENS));
    expect(ttl).toBeGreaterThan(50_000);
    expect(ttl).toBeLessThanOrEqual(60_000);
  });

  it('give higher tokens also when the server has lost its data', async () => {
    const before = await acquire('a');
    await server.kill();
    await server.start(['--appendonly', 'no']);
    const after = await eventually(() => acquire('a'));
    expect(after).toBeGreaterThan(before);
  });

  it('keep a barrier for as long as it says, and its members in it', async () => {
    await barriers.open([{ id: 'b', size: 2, ttlMs: 20_000, body: Buffer.from('body') }]);
    await barriers.arrive([{ id: 'b', memberId: '@size' }]);
    expect(Number(await server.command('pttl', BARRIER))).toBeLessThanOrEqual(20_000);
    const [last] = await barriers.arrive([{ id: 'b', memberId: '@last' }]);
    expect(last).toEqual({ completed: true, arrived: 2, size: 2, body: Buffer.from('body') });
    await barriers.discard(['b']);
    expect(await server.command('exists', BARRIER)).toBe(0);
  });

  it('let go of what is held when the memory is full, and take nothing new', async () => {
    const token = await acquire('a');
    await barriers.open([{ id: 'b', size: 2, ttlMs: 20_000, body: Buffer.from('body') }]);
    await server.command('config', 'set', 'maxmemory', 1);
    await expect(barriers.open([{ id: 'c', size: 2, ttlMs: 20_000, body: Buffer.from('') }])).rejects.toSatisfy(
      (error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'),
    );
    expect(await locks.renew([{ key: 'k', owner: 'a', token, ttlMs: 60_000 }])).toEqual(['renewed']);
    expect((await barriers.arrive([{ id: 'b', memberId: 'm' }]))[0]?.arrived).toBe(1);
    expect(await locks.release([{ key: 'k', owner: 'a', token }])).toEqual(['released']);
    // Work that needs a permit must be able to go on, or nothing would ever be freed.
    expect(await acquire('b')).toBeGreaterThan(token);
    await barriers.discard(['b']);
  });
});
