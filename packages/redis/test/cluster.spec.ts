import { spawnSync } from 'node:child_process';
import { silentLogger } from '@taskqueue/core';
import { describeDriver } from '@taskqueue/core/conformance';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { Fleet } from './fleet.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { PrivateRedis } from './private-redis.js';

const NODES = 3;

/** Three primaries of a test's own. */
async function startCluster(): Promise<{ url: string; nodes: PrivateRedis[]; dispose(): Promise<void> }> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--appendonly', 'yes'];
  const nodes = await Promise.all(Array.from({ length: NODES }, () => PrivateRedis.start(args)));
  const addresses = nodes.map((node) => `127.0.0.1:${node.port}`);
  const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes'];
  const { status, stdout } = spawnSync('redis-cli', create, { encoding: 'utf8' });
  expect(status, stdout).toBe(0);
  await eventually(async () => {
    for (const node of nodes) expect(String(await node.command('cluster', 'info'))).toContain('cluster_state:ok');
  }, 30_000);
  return {
    url: `redis+cluster://${addresses.join(',')}`,
    nodes,
    dispose: async () => {
      await Promise.all(nodes.map((node) => node.dispose()));
    },
  };
}

if (redisIsInstalled) {
  describeDriver(
    'redis cluster',
    {
      broker: true,
      transactions: false,
      results: true,
      revocations: true,
      schedules: false,
      inspector: true,
      locks: true,
      barriers: true,
      pubsub: true,
    },
    async () => {
      const cluster = await startCluster();
      const [driver, peer] = [createDriver(cluster.url), createDriver(cluster.url)];
      await Promise.all([driver, peer].map((one) => one.connect({ logger: silentLogger })));
      return {
        driver,
        peer,
        dispose: async () => {
          await Promise.all([driver.close(), peer.close()]);
          await cluster.dispose();
        },
      };
    },
    { describe, it, beforeAll, afterAll },
  );
}

describe.skipIf(!redisIsInstalled)('a cluster', { timeout: 120_000 }, () => {
  it('of which a node is restarted is worked on again by every worker', async () => {
    const cluster = await startCluster();
    const drivers = Array.from({ length: 3 }, () => createDriver(cluster.url));
    const fleet = await Fleet.open(createDriver(cluster.url), drivers);
    try {
      await fleet.survives(async () => {
        for (const node of cluster.nodes) {
          await node.kill();
          await node.start();
        }
        await eventually(async () => {
          for (const node of cluster.nodes) {
            expect(String(await node.command('cluster', 'info'))).toContain('cluster_state:ok');
          }
        }, 30_000);
      }, 20_000);
    } finally {
      await fleet.close();
      await cluster.dispose();
    }
  });
});
