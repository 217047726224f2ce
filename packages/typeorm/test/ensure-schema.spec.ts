import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import {
  CrontabSchedule,
  IntervalSchedule,
  PeriodicTask,
  SolarSchedule,
  TASK_QUEUE_ENTITIES,
  TASK_QUEUE_MIGRATIONS,
  ensureSchema,
} from '../src/index.js';
import { startChild } from './child.js';
import { testDatabases } from './databases.js';

for (const [name, open] of await testDatabases()) {
  describe(`the schema on ${name}`, () => {
    const withDataSource = async (body: (dataSource: DataSource) => Promise<void>, options = {}): Promise<void> => {
      const database = await open();
      const own = { entities: TASK_QUEUE_ENTITIES, migrations: TASK_QUEUE_MIGRATIONS };
      const dataSource = database.dataSource({ ...own, ...options });
      await dataSource.initialize();
      try {
        await body(dataSource);
      } finally {
        await dataSource.destroy();
        await database.dispose();
      }
    };

    it('is created once by ten processes that start together', async () => {
      const database = await open();
      const children = Array.from({ length: 10 }, () => startChild('connect', database.url));
      await Promise.all(children.map((child) => child.message('ready')));
      for (const child of children) child.process.send('go');
      await Promise.all(children.map((child) => child.exited));
      expect(children.map((child) => child.messages.at(-1))).toEqual(children.map(() => ({ type: 'done' })));
      await database.dispose();
    }, 60_000);

    it('has the columns that the entities name', () =>
      withDataSource(async (dataSource) => {
        await ensureSchema(dataSource);
        for (const entity of TASK_QUEUE_ENTITIES) await dataSource.getRepository<object>(entity).find();
      }));

    it('may be created by TypeORM’s own migrations, and removed by them', () =>
      withDataSource(async (dataSource) => {
        await dataSource.runMigrations();
        await ensureSchema(dataSource);
        await ensureSchema(dataSource);
        expect(await dataSource.getRepository(PeriodicTask).count()).toBe(0);
        for (const _migration of TASK_QUEUE_MIGRATIONS) await dataSource.undoLastMigration();
        await expect(dataSource.getRepository(PeriodicTask).count()).rejects.toThrow();
      }));

    it('is what the entities mean, also where those of the application have a prefix', () =>
      withDataSource(
        async (dataSource) => {
          await ensureSchema(dataSource);
          for (const entity of TASK_QUEUE_ENTITIES) await dataSource.getRepository<object>(entity).find();
        },
        { entityPrefix: 'shop_' },
      ));

    it('takes a schedule of which only the necessary is given', () =>
      withDataSource(async (dataSource) => {
        await ensureSchema(dataSource);
        const interval = await dataSource.getRepository(IntervalSchedule).save({ every: 5 });
        const crontab = await dataSource.getRepository(CrontabSchedule).save({ minute: '5' });
        const solar = await dataSource.getRepository(SolarSchedule).save({ latitude: 1, longitude: 2 });
        expect(interval).toMatchObject({ period: 'seconds', anchor: 0 });
        expect(crontab).toMatchObject({ hour: '*', timezone: 'UTC' });
        expect(solar).toMatchObject({ event: 'sunrise' });
        await dataSource.getRepository(PeriodicTask).save({ name: 'tick', task: 'tick', interval });
      }));

    it('is left alone by schema synchronization', () =>
      withDataSource(async (dataSource) => {
        await ensureSchema(dataSource);
        await dataSource.synchronize();
        await dataSource.getRepository(PeriodicTask).find();
        const log = await dataSource.driver.createSchemaBuilder().log();
        expect(log.upQueries).toEqual([]);
      }));
  });
}
