import { describeDriver } from '@taskqueue/core/conformance';
import { silentLogger } from '@taskqueue/core';
import type { EntityManager } from 'typeorm';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { createDriver, typeormDriver } from '../src/index.js';
import { testDatabases } from './databases.js';

for (const [name, open] of await testDatabases()) {
  describeDriver(
    name,
    {
      broker: true,
      transactions: true,
      results: true,
      revocations: true,
      schedules: true,
      inspector: true,
      locks: true,
      barriers: true,
      pubsub: true,
    },
    async () => {
      const database = await open();
      const dataSource = database.dataSource();
      const driver = typeormDriver({ dataSource });
      const peer = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
      await peer.connect({ logger: silentLogger });
      return {
        driver,
        peer,
        transaction: (body) => dataSource.transaction((manager: EntityManager) => body(manager)),
        dispose: async () => {
          await Promise.all([driver.close(), peer.close()]);
          await dataSource.destroy();
          await database.dispose();
        },
      };
    },
    { describe, it, beforeAll, afterAll },
  );
}
