import { expect, it } from 'vitest';
import { silentLogger } from '@taskqueue/core';
import { createDriver } from '../../src/index.js';
import { sqliteDatabase } from '../databases.js';
import { outgoing } from '../../../../test/support/outgoing.js';

it('lets the process go on while a caller enqueues in a loop', async () => {
  const database = sqliteDatabase();
  const driver = createDriver(database.url);
  await driver.connect({ logger: silentLogger });
  await driver.broker?.declare([{ name: 'q' }]);
  let turned = false;
  setTimeout(() => (turned = true), 1);
  let sent = 0;
  while (!turned && sent < 3_000) {
    expect(await driver.broker?.publish([outgoing('q')])).toEqual([{ status: 'accepted' }]);
    sent += 1;
  }
  await driver.close();
  await database.dispose();
  expect(turned).toBe(true);
});
