import { silentLogger } from '@taskqueue/core';
import type { ChordMember, ChordStore, Driver } from '@taskqueue/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { PrivateRedis } from './private-redis.js';

const KEY = 'celery-taskset-meta-g';
const DAY = 86_400_000;

const member = (taskId: string, index: number | undefined, value = taskId): ChordMember => ({
  groupId: 'g',
  index,
  taskId,
  state: 'SUCCESS',
  result: { contentType: 'application/json', contentEncoding: 'utf-8', text: JSON.stringify(value) },
  ttlMs: DAY,
});

describe.skipIf(!redisIsInstalled)("Celery's chords on Redis", () => {
  let server: PrivateRedis;
  let driver: Driver;
  let chords: ChordStore;

  beforeEach(async () => {
    server = await PrivateRedis.start();
    driver = createDriver(server.url);
    await driver.connect({ logger: silentLogger });
    chords = (driver as Required<Driver>).chords;
  });
  afterEach(async () => {
    await driver.close();
    await server.dispose();
  });

  const ids = async (one: ChordMember): Promise<string[] | undefined> =>
    (await chords.arrive(one))?.map(({ taskId }) => taskId);

  it('lie where and as Celery looks for them, and expire', async () => {
    await chords.open([{ groupId: 'g', size: 3, ttlMs: DAY }]);
    await chords.arrive(member('a', 1));
    const failure = { type: 'ValueError', module: 'builtins', message: 'x' };
    await chords.arrive({ groupId: 'g', index: 0, taskId: 'b', state: 'FAILURE', failure, ttlMs: DAY });
    expect(await server.command('get', `${KEY}.s`)).toBe('3');
    expect(await server.command('zrange', `${KEY}.j`, 0, -1)).toEqual([
      '[1, "b", "FAILURE", {"exc_type":"ValueError","exc_message":["x"],"exc_module":"builtins"}]',
      '[1, "a", "SUCCESS", "a"]',
    ]);
    for (const key of [`${KEY}.s`, `${KEY}.j`]) {
      expect(Number(await server.command('pttl', key))).toBeGreaterThan(DAY - 60_000);
    }
  });

  it('give all members in order to the one that completes them, whenever it comes again', async () => {
    await chords.open([{ groupId: 'g', size: 2, ttlMs: undefined }]);
    expect(await ids(member('b', 1))).toBeUndefined();
    expect(await ids(member('a', 0))).toEqual(['a', 'b']);
    expect(await ids(member('b', 1))).toBeUndefined();
    expect(await ids(member('a', 0))).toEqual(['a', 'b']);
    await chords.discard('g');
    expect(await server.command('keys', '*taskset*')).toEqual([]);
    expect(await ids(member('a', 0))).toBeUndefined();
  });

  it('count a member once, whatever it brings the second time', async () => {
    await chords.open([{ groupId: 'g', size: 2, ttlMs: DAY }]);
    await chords.arrive(member('a', undefined));
    expect(await ids(member('a', undefined, 'other'))).toBeUndefined();
    expect(await ids(member('b', undefined))).toEqual(['a', 'b']);
  });

  it('read what Python wrote, and count what it added', async () => {
    await server.command('set', `${KEY}.s`, '1');
    await server.command('incr', `${KEY}.t`);
    await server.command('zadd', `${KEY}.j`, 0, '[1, "p, \\"q", "SUCCESS", [1e400, 12345678901234567890]]');
    const answer = await chords.arrive(member('a', 1));
    expect(answer?.[0]).toMatchObject({
      taskId: 'p, "q',
      state: 'SUCCESS',
      result: { text: '[1e400, 12345678901234567890]' },
    });
  });

  it('that nobody has opened yet keep their members until somebody does', async () => {
    expect(await ids(member('a', 0))).toBeUndefined();
    await server.command('setex', `${KEY}.s`, 100, '2');
    expect(await ids(member('b', 1))).toEqual(['a', 'b']);
  });
});
