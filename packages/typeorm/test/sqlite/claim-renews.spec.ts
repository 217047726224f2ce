import { silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { expect, it } from 'vitest';
import { outgoing } from '../../../../test/support/outgoing.js';
import { createDriver } from '../../src/index.js';
import { sqliteDatabase } from '../databases.js';

it('a claim renews the lease, because nobody else can while it holds the file', async () => {
  const database = sqliteDatabase();
  const driver = createDriver(database.url);
  await driver.connect({ logger: silentLogger });
  const reader = await database.dataSource().initialize();
  const leaseEnds = async (): Promise<number> => {
    const [row] = await reader.query<{ lease_until: number }[]>('select lease_until from taskqueue_consumer');
    return row?.lease_until ?? 0;
  };
  const consumer = await driver.broker?.consume({ queues: ['q'], consumerId: 'c', leaseMs: 60_000 });
  const take = async () => {
    await driver.broker?.publish([outgoing('q')]);
    expect(await consumer?.receive({ max: 1, signal: AbortSignal.timeout(5_000) })).toHaveLength(1);
  };
  await take();
  const first = await leaseEnds();
  await eventually(() => expect(Date.now()).toBeGreaterThan(first - 60_000 + 20));
  await take();
  expect(await leaseEnds()).toBeGreaterThan(first);
  await consumer?.close();
  await reader.destroy();
  await driver.close();
  await database.dispose();
});
