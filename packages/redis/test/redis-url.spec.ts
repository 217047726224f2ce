import { describe, expect, it } from 'vitest';
import { isTaskQueueError } from '@taskqueue/core';
import { describeLocation, resolveOptions } from '../src/redis-options.js';
import { createDriver, redisDriver } from '../src/index.js';
import { parseRedisUrl } from '../src/redis-url.js';

describe('a Redis URL', () => {
  it.each([
    ['redis://', { host: '127.0.0.1', port: 6379 }],
    ['redis://localhost', { host: 'localhost', port: 6379 }],
    ['redis://cache:6380/2', { host: 'cache', port: 6380, db: 2 }],
    ['redis://:secret@cache', { host: 'cache', port: 6379, password: 'secret' }],
    ['redis://app:p%40ss%2Fw@cache/', { host: 'cache', port: 6379, username: 'app', password: 'p@ss/w' }],
    ['redis://[::1]:7000/1', { host: '::1', port: 7000, db: 1 }],
    ['redis://cache?socket_connect_timeout=2', { host: 'cache', port: 6379, connectTimeout: 2_000 }],
    ['redis+socket:///run/redis.sock?virtual_host=3', { path: '/run/redis.sock', db: 3 }],
    ['redis+socket:///run/redis.sock?password=x', { path: '/run/redis.sock', password: 'x' }],
    ['rediss://cache', { host: 'cache', port: 6379, tls: { rejectUnauthorized: true } }],
    ['rediss://cache?ssl_cert_reqs=CERT_NONE', { host: 'cache', port: 6379, tls: { rejectUnauthorized: false } }],
    [
      'redis+sentinel://app:pw@one,two:26380/4?master=main&sentinel_password=s',
      {
        username: 'app',
        password: 'pw',
        db: 4,
        name: 'main',
        sentinelPassword: 's',
        sentinels: [
          { host: 'one', port: 26379 },
          { host: 'two', port: 26380 },
        ],
      },
    ],
  ])('names a server: %s', (url, redis) => {
    expect(parseRedisUrl(url)).toEqual({ redis, cluster: undefined });
  });

  it('names the nodes of a cluster', () => {
    const { cluster } = parseRedisUrl('rediss+cluster://:pw@one:7000,two:7001');
    expect(cluster?.nodes).toEqual([
      { host: 'one', port: 7000 },
      { host: 'two', port: 7001 },
    ]);
    expect(cluster?.options.redisOptions).toEqual({ password: 'pw', tls: { rejectUnauthorized: true } });
  });

  it('says what the driver should do', () => {
    expect(parseRedisUrl('redis://h?global_keyprefix=app.&priorities=none&eviction=warn')).toMatchObject({
      keyPrefix: 'app.',
      priorities: 'none',
      eviction: 'warn',
    });
  });

  it.each([
    'redis:localhost',
    'redis://one,two',
    'redis://host:99999',
    'redis://host/main',
    'redis://host?retry_on_timeout=1',
    'redis://host?keyprefix=x',
    'redis://host?socket_connect_timeout=soon',
    'redis://h%zz@host',
    'redis+socket://',
    'redis+sentinel://host/0',
    'rediss://host?ssl_cert_reqs=maybe',
    'rediss://host?ssl_ca_certs=/no/such/file',
    'redis+http://host',
  ])('that cannot be used is refused: %s', (url) => {
    expect(() => createDriver(url)).toSatisfy((call: () => void) => {
      try {
        call();
        return false;
      } catch (error) {
        return isTaskQueueError(error, 'CONFIGURATION_INVALID');
      }
    });
  });

  it.each([
    'redis://app:hunter2@host?unknown=1',
    'redis://:hunter2@host/x',
    'redis://app:hun/hunter2@host',
    'redis://host?password=hunter2',
    'redis+sentinel://a:hunter2@host',
  ])('never shows its password: %s', (url) => {
    let shown = '';
    try {
      shown = createDriver(url).describe();
    } catch (error) {
      shown = `${String(error)} ${JSON.stringify(error)}`;
    }
    expect(shown).not.toContain('hunter2');
    expect(shown).not.toBe('');
  });

  it('is described without credentials', () => {
    const described = (url: string): string => describeLocation(resolveOptions({ url }));
    expect(described('redis://app:pw@cache:6380/2')).toBe('redis://cache:6380/2');
    expect(described('rediss://:pw@cache')).toBe('rediss://cache:6379/0');
    expect(described('redis+socket:///s.sock?password=pw')).toBe('redis+socket:///s.sock/0');
    expect(described('redis+sentinel://a:pw@one/1?master=m')).toBe('redis+sentinel://one:26379/1?master=m');
    expect(described('redis+cluster://a:pw@one,two')).toBe('redis+cluster://one:6379,two:6379');
  });
});

describe('options of the driver', () => {
  it.each([
    [{}],
    [{ url: 'redis://h', redis: {} }],
    [{ redis: {}, keyPrefix: '{x}' }],
    [{ redis: { keyPrefix: 'x' } }],
    [{ redis: {}, priorities: 'some' }],
    [{ redis: {}, eviction: 'no' }],
    [{ cluster: { nodes: [] } }],
    [{ cluster: { nodes: [7000], options: { redisOptions: { db: 1 } } } }],
  ])('that cannot be used are refused: %j', (options) => {
    expect(() => redisDriver(options as never)).toThrow(/configuration has/);
  });
});
