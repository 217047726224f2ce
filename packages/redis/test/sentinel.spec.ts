import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { Fleet } from './fleet.js';
import { freePort, redisIsInstalled } from '../../../test/support/redis-server.js';
import { ask, PrivateRedis } from './private-redis.js';

const MASTER = 'tasks';
const DOWN_AFTER_MS = 1_000;

/** One Sentinel that watches a server. */
class Sentinel {
  private constructor(
    readonly port: number,
    private readonly process: ChildProcess,
    private readonly folder: string,
  ) {}

  static async watch(server: PrivateRedis): Promise<Sentinel> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-sentinel-'));
    const file = join(folder, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `sentinel monitor ${MASTER} 127.0.0.1 ${server.port} 1`,
      `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER} 5000`,
    ];
    writeFileSync(file, lines.join('\n'));
    const args = [file, '--sentinel', '--dir', folder, '--logfile', join(folder, 'log')];
    const sentinel = new Sentinel(port, spawn('redis-server', args, { stdio: 'ignore' }), folder);
    await eventually(() => ask(port, ['ping']), 30_000);
    return sentinel;
  }

  /** Where it says that the master is. */
  async masterPort(): Promise<number> {
    const [, port] = (await ask(this.port, ['sentinel', 'get-master-addr-by-name', MASTER])) as [string, string];
    return Number(port);
  }

  async knowsReplica(port: number): Promise<boolean> {
    const replicas = JSON.stringify(await ask(this.port, ['sentinel', 'replicas', MASTER]));
    return replicas.includes(`127.0.0.1:${port}`);
  }

  async dispose(): Promise<void> {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe.skipIf(!redisIsInstalled)('a failover by Sentinel', { timeout: 120_000 }, () => {
  let servers: readonly [PrivateRedis, PrivateRedis];
  let sentinel: Sentinel;
  let fleet: Fleet;

  beforeEach(async () => {
    servers = [await PrivateRedis.start(), await PrivateRedis.start()];
    const [master, replica] = servers;
    await replica.command('replicaof', '127.0.0.1', master.port);
    sentinel = await Sentinel.watch(master);
    await eventually(async () => {
      expect(String(await master.command('info', 'replication'))).toMatch(/state=online/);
      expect(await sentinel.knowsReplica(replica.port)).toBe(true);
    }, 30_000);
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/0?master=${MASTER}`;
    fleet = await Fleet.open(
      createDriver(url),
      Array.from({ length: 3 }, () => createDriver(url)),
    );
  }, 60_000);
  afterEach(async () => {
    await fleet.close();
    await sentinel.dispose();
    await Promise.all(servers.map((server) => server.dispose()));
  });

  /** Replication lags behind; what is accepted on the master only is lost with it. So nothing is, here. */
  const replicaCatchesUp = (): Promise<void> =>
    eventually(async () => {
      const [written, copied] = await Promise.all(servers.map((server) => offset(server)));
      expect(copied).toBe(written);
    }, 30_000);

  it('of a master that was killed is survived, and nothing is lost that the replica had', () =>
    fleet.survives(async () => {
      const [master, replica] = servers;
      await master.command('client', 'pause', 60_000, 'write');
      await replicaCatchesUp();
      await master.kill();
      await eventually(async () => expect(await sentinel.masterPort()).toBe(replica.port), 30_000);
    }, 30_000));

  it('that an operator asks for is noticed by workers that wait at the old master', () =>
    fleet.survives(async () => {
      const [master, replica] = servers;
      // For some seconds the old master accepts what will be lost; so nobody writes meanwhile.
      await fleet.stopPumping();
      await fleet.settles();
      await replicaCatchesUp();
      await ask(sentinel.port, ['sentinel', 'failover', MASTER]);
      await eventually(async () => {
        expect(await sentinel.masterPort()).toBe(replica.port);
        expect(String(await master.command('info', 'replication'))).toContain('role:slave');
      }, 60_000);
      fleet.pump();
    }, 30_000));
});

describe.skipIf(!redisIsInstalled)('a connection by Sentinel', { timeout: 60_000 }, () => {
  it('fails at once where no Sentinel answers, or none knows the name', async () => {
    const server = await PrivateRedis.start();
    const sentinel = await Sentinel.watch(server);
    const failure = (port: number, name: string): Promise<unknown> =>
      createDriver(`redis+sentinel://127.0.0.1:${port}/0?master=${name}`)
        .connect({ logger: silentLogger })
        .catch((error: unknown) => error);
    const [absent, unknown] = await Promise.all([failure(1, MASTER), failure(sentinel.port, 'misspelt')]);
    for (const error of [absent, unknown]) expect(isTaskQueueError(error, 'BROKER_UNAVAILABLE')).toBe(true);
    expect(String(absent)).toContain('failed to connect to sentinel 127.0.0.1:1');
    expect(String(unknown)).toContain('No such master with that name');
    await sentinel.dispose();
    await server.dispose();
  });

  it('passes a Sentinel over that says nothing', async () => {
    const server = await PrivateRedis.start();
    const sentinel = await Sentinel.watch(server);
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const driver = createDriver(`redis+sentinel://127.0.0.1:${port},127.0.0.1:${sentinel.port}/0?master=${MASTER}`);
    await driver.connect({ logger: silentLogger });
    await driver.ping();
    await driver.close();
    silent.close();
    await sentinel.dispose();
    await server.dispose();
  });
});

async function offset(server: PrivateRedis): Promise<string> {
  const info = String(await server.command('info', 'replication'));
  const name = info.includes('role:master') ? 'master_repl_offset' : 'slave_repl_offset';
  return new RegExp(`${name}:(\\d+)`).exec(info)?.[1] ?? '';
}
