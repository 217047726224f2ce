import { declareEntry, silentLogger } from '@taskqueue/core';
import type { Driver } from '@taskqueue/core';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';

for (const [name, open] of await testDatabases()) {
  describe(`rows of schedules that somebody edited by hand, on ${name}`, () => {
    let database: TestDatabase;
    let driver: Driver;
    let dataSource: DataSource;

    beforeAll(async () => {
      database = await open();
      driver = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
      dataSource = await database.dataSource().initialize();
    });

    afterAll(async () => {
      await dataSource.destroy();
      await driver.close();
      await database.dispose();
    });

    it.each(['args', 'kwargs', 'headers'])('are listed beside the others when their %s are no JSON', async (column) => {
      const entries = ['broken', 'sound'].map((one) =>
        declareEntry({ name: `${one} ${column}`, task: 'tick', every: '1h', args: [1] }),
      );
      await driver.schedules?.upsert(entries);
      const { schema } = dataSource.options as { readonly schema?: string };
      const table = schema === undefined ? 'taskqueue_periodic_task' : `"${schema}".taskqueue_periodic_task`;
      await dataSource.query(`update ${table} set ${column} = '[1,' where name = 'broken ${column}'`);
      const listed = await driver.schedules?.list();
      const [broken, sound] = entries.map((entry) => listed?.find((one) => one.name === entry.name));
      expect(broken).toMatchObject({ [column]: '[1,' });
      expect(sound).toMatchObject({ args: [1], kwargs: {} });
      // What code declares and an operator broke is the operator's, and no reason for beat not to start.
      await driver.schedules?.syncDeclared(entries);
    });
  });
}
