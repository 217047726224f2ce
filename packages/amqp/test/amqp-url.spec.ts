import { describe, expect, it } from 'vitest';
import { resolveOptions } from '../src/amqp-options.js';

describe('URLs', () => {
  it.each([
    ['amqp://', [{ host: '127.0.0.1', port: 5_672 }], '/', 'guest', 'guest'],
    ['amqp://h', [{ host: 'h', port: 5_672 }], '/', 'guest', 'guest'],
    ['amqp://h/', [{ host: 'h', port: 5_672 }], '/', 'guest', 'guest'],
    ['pyamqp://u:p@h:1234//', [{ host: 'h', port: 1_234 }], '/', 'u', 'p'],
    ['amqp://u@h/%2Fa%2Fb', [{ host: 'h', port: 5_672 }], '/a/b', 'u', ''],
    [
      'amqp://u:p%40%2F@h1,h2:1,[::1]:2/shop',
      [
        { host: 'h1', port: 5_672 },
        { host: 'h2', port: 1 },
        { host: '::1', port: 2 },
      ],
      'shop',
      'u',
      'p@/',
    ],
    ['amqps://h/v', [{ host: 'h', port: 5_671 }], 'v', 'guest', 'guest'],
  ])('%s', (url, hosts, vhost, username, password) => {
    const resolved = resolveOptions({ url });
    expect(resolved).toMatchObject({ hosts, vhost, username, password });
    expect(resolved.tls !== undefined).toBe(url.startsWith('amqps'));
  });

  it('takes options from the query, and prefers what is given beside it', () => {
    const url = 'amqp://h/v?heartbeat=7&queueType=quorum&blockedTimeoutMs=0';
    expect(resolveOptions({ url, queueType: 'classic' })).toMatchObject({
      heartbeatSeconds: 7,
      queueType: 'classic',
      blockedTimeoutMs: 0,
    });
    expect(resolveOptions({ url: 'amqps://h?ssl_cert_reqs=none' }).tls).toEqual({ rejectUnauthorized: false });
  });

  it.each([
    ['redis://h', 'url'],
    ['amqp://h:99999', 'url'],
    ['amqp://h?prefetch=3', 'url'],
    ['amqp://h?ssl_ca_certs=x', 'url'],
    ['amqps://h?ssl_cert_reqs=maybe', 'url.ssl_cert_reqs'],
    ['amqp://h?heartbeat=often', 'heartbeatSeconds'],
    ['amqp://h?queueType=stream', 'queueType'],
    ['amqp://h?maxPriority=10', 'maxPriority'],
    ['amqp://h?maxPriority=5&queueType=quorum', 'maxPriority'],
  ])('%s is refused, and the password kept to itself', (url, path) => {
    const secret = url.replace('://', '://u:secret-word@');
    try {
      resolveOptions({ url: secret });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIGURATION_INVALID', problems: [{ path }] });
      expect(String(error)).not.toContain('secret-word');
    }
  });
});
