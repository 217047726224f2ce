import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisIsInstalled, RedisServer } from '../../../test/support/redis-server.js';
import { createDriver } from '../src/index.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const hasOpenssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0;

describe.skipIf(!redisIsInstalled || !hasOpenssl)('TLS', () => {
  let folder: string;
  let server: RedisServer;
  let tlsPort: number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'taskqueue-tls-'));
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...subject, ...files], {
      stdio: 'ignore',
    });
    const cert = join(folder, 'cert.pem');
    server = await RedisServer.create();
    tlsPort = await server.openTls({ cert, key: join(folder, 'key.pem') });
  });

  afterAll(async () => {
    await server.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('carries everything, the sleeping connection and the thread that renews leases too', async () => {
    const ca = encodeURIComponent(join(folder, 'cert.pem'));
    const opened = await openDriver({ url: `rediss://localhost:${tlsPort}/0?ssl_ca_certs=${ca}` });
    const consumer = await opened.consume(['q']);
    const waiting = take(consumer, 1);
    const message = outgoing('q');
    await opened.broker.publish([message]);
    const [delivery] = await waiting;
    expect(idOf(delivery)).toBe(message.id);
    const { module, data } = consumer.keepAlive as { module: string; data: unknown };
    const { keepAlive } = (await import(module)) as typeof import('../src/keep-alive.js');
    const loop = await keepAlive(structuredClone(data));
    expect(await loop.renew(30_000)).toBe(true);
    await loop.close();
    expect(await consumer.settle([ack(delivery as never)])).toEqual(['settled']);
    await opened.driver.close();
  });

  it('refuses a certificate that nobody vouches for, unless it is told to take any', async () => {
    const strict = createDriver(`rediss://127.0.0.1:${tlsPort}`);
    await expect(strict.connect({ logger: silentLogger })).rejects.toThrow(/self-signed certificate/);
    const trusting = createDriver(`rediss://127.0.0.1:${tlsPort}?ssl_cert_reqs=none`);
    await trusting.connect({ logger: silentLogger });
    await trusting.ping();
    await trusting.close();
  });
});
