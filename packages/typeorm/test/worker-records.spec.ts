import {
  composeStores,
  defineTask,
  plainHandler,
  silentLogger,
  systemClock,
  TaskRegistry,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import type { Driver } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { createDriver } from '../src/index.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';

/** A message as another sender may write it. */
function foreign(headers: Readonly<Record<string, unknown>>) {
  const message = outgoing('foreign');
  return { ...message, message: { ...message.message, headers: { ...message.message.headers, ...headers } } };
}

for (const [name, open] of await testDatabases()) {
  describe(`records of what strange messages ran, on ${name}`, () => {
    let database: TestDatabase;
    let driver: Driver;
    let worker: Worker;

    beforeAll(async () => {
      database = await open();
      driver = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
      const registry = new TaskRegistry();
      const definition = defineTask('test.task');
      registry.register({ definition, handler: plainHandler(definition, () => 'done'), source: 'test' });
      const settings = validateSettings({ worker: { queues: ['foreign'], shutdownGrace: 0 } });
      const stores = composeStores({ broker: driver });
      worker = new Worker({ stores, registry, settings, clock: systemClock, random: () => 0.5, logger: silentLogger });
      await worker.start();
    });

    afterAll(async () => {
      await worker.stop();
      await driver.close();
      await database.dispose();
    });

    it.each([
      ['a schedule with a name that no column holds', { periodic_task_name: 'x'.repeat(300) }],
      ['as many retries as there can be', { retries: 2_147_483_647 }],
      ['as many retries as there can be, of an unknown task', { retries: 2_147_483_647, task: 'nowhere', lost: 1 }],
    ])('are kept: %s', async (_what, headers) => {
      const messages = [foreign(headers), foreign({})];
      await driver.broker?.publish(messages);
      await vi.waitFor(
        async () => {
          const records = await driver.results?.get(messages.map(({ id }) => id));
          const state = 'task' in headers ? 'FAILURE' : 'SUCCESS';
          expect(records?.map((record) => record?.state)).toEqual([state, 'SUCCESS']);
        },
        { timeout: 10_000 },
      );
    });
  });
}
