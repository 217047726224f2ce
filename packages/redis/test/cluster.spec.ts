import { spawnSync } from 'node:child_process';
import type { Consumer } from '@taskqueue/core';
import { silentLogger } from '@taskqueue/core';
import { describeDriver } from '@taskqueue/core/conformance';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { Fleet } from './fleet.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { outgoing } from '../../../test/support/outgoing.js';
import { idOf, openDriver, take } from './open-driver.js';
import { PrivateRedis } from './private-redis.js';

const NODES = 3;

interface Cluster {
  readonly url: string;
  readonly nodes: readonly PrivateRedis[];
  dispose(): Promise<void>;
}

/** Three primaries of a test's own. */
async function startCluster(): Promise<Cluster> {
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

/** A queue of each node, in the order of the nodes. */
async function queuesOnEachNode({ nodes }: Pick<Cluster, 'nodes'>): Promise<string[]> {
  const found = new Map<number, string>();
  for (let number = 0; found.size < nodes.length; number += 1) {
    const slot = Number(await nodes[0]?.command('cluster', 'keyslot', `q${number}`));
    found.set(Math.floor((slot * nodes.length) / 16_384), `q${number}`);
  }
  return nodes.map((_node, index) => found.get(index) as string);
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

  it('of which a node lost its data says of which queues, and is worked on again', async () => {
    const cluster = await startCluster();
    const opened = await openDriver({ url: cluster.url });
    const queues = await queuesOnEachNode(cluster);
    const lost = queues[1] as string;
    const consumers = await Promise.all(queues.map((queue) => opened.consume([queue])));
    try {
      for (const [index, queue] of queues.entries()) {
        await opened.broker.publish([outgoing(queue)]);
        await take(consumers[index] as Consumer, 1);
      }
      await cluster.nodes[1]?.kill();
      await cluster.nodes[1]?.start(['--appendonly', 'no']);
      const message = outgoing(lost);
      await eventually(async () => {
        expect((await opened.broker.publish([message]))[0]?.status).toMatch(/accepted|duplicate/);
      }, 30_000);
      expect(idOf((await take(consumers[1] as Consumer, 1))[0])).toBe(message.id);
      await eventually(() =>
        expect(opened.log.filter((line) => line.includes(`of the queues ${lost} (`))).toHaveLength(1),
      );
    } finally {
      await opened.driver.close();
      await cluster.dispose();
    }
  });
});
