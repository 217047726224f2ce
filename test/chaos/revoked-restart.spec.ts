import assert from 'node:assert/strict';
import { newTaskId } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import { rabbitmqIsInstalled, RabbitmqServer } from '../support/rabbitmq-server.js';
import { redisIsInstalled, RedisServer } from '../support/redis-server.js';
import { Fleet } from './fleet.js';
import { allEnded } from './judge.js';
import { DURABLE_REDIS, rabbitmqStore, redisStore } from './store.js';

/** Tasks that are revoked by id or by a stamp never start, though every worker and the broker are others by then. */
async function staysRevoked(fleet: Fleet, restart: () => Promise<void>): Promise<void> {
  const { sender } = fleet;
  const first = await fleet.launch('worker');
  const [early, late] = [newTaskId(), newTaskId()];
  const [stampedEarly, stampedLate] = [newTaskId(), newTaskId()];
  const stamps = { customer: newTaskId() };
  // One that waits in the broker, and one of which nobody has heard yet.
  await sender.sendTask('work', [0], {}, { taskId: early, countdown: '4s' });
  await sender.sendTask('work', [0], {}, { taskId: stampedEarly, countdown: '4s', stamps });
  for (const id of [early, late]) await sender.handle(id).revoke();
  await sender.revokeStamped(stamps);
  expect(await fleet.terminate(first)).toBe(0);
  await restart();
  await fleet.launch('worker');
  const ids = await eventually(async () => {
    await sender.sendTask('work', [0], {}, { taskId: late });
    await sender.sendTask('work', [0], {}, { taskId: stampedLate, stamps });
    const other = { customer: newTaskId() };
    return [
      early,
      late,
      stampedEarly,
      stampedLate,
      (await sender.sendTask('work', [0], {}, { countdown: '5s', stamps: other })).id,
    ];
  }, 30_000);
  await eventually(async () => assert(await allEnded(fleet, ids), 'some tasks have not ended'), 30_000);
  const records = await fleet.results.get(ids);
  expect(records.map((record) => record?.state)).toEqual([...Array.from({ length: 4 }, () => 'REVOKED'), 'SUCCESS']);
  const started = fleet.ledger().filter(({ event }) => event === 'start');
  expect(started.filter(({ id }) => ids.slice(0, -1).includes(id))).toEqual([]);
}

describe('a revoked task', () => {
  it.skipIf(!redisIsInstalled)(
    '[redis] never starts, also after all workers and Redis restarted',
    async () => {
      const server = await RedisServer.create(DURABLE_REDIS);
      const fleet = await Fleet.open(await redisStore(server));
      try {
        await staysRevoked(fleet, async () => {
          await server.signal('SIGKILL');
          await server.start();
        });
      } finally {
        await fleet.close();
      }
    },
    90_000,
  );

  it.skipIf(!rabbitmqIsInstalled)(
    '[rabbitmq] never starts, also after all workers and RabbitMQ restarted',
    async () => {
      const server = await RabbitmqServer.create();
      const fleet = await Fleet.open(await rabbitmqStore(server));
      try {
        await staysRevoked(fleet, async () => {
          await server.kill();
          await server.start();
        });
      } finally {
        await fleet.close();
      }
    },
    150_000,
  );
});
