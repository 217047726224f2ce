import type { Driver } from '@taskqueue/core';
import { silentLogger } from '@taskqueue/core';
import type { DataSource, EntityManager } from 'typeorm';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { typeormDriver } from '../src/index.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';
import { outgoing } from '../../../test/support/outgoing.js';

@Entity({ name: 'orders' })
class Order {
  @PrimaryColumn({ type: 'varchar' })
  id: string;

  @Column({ type: 'varchar' })
  origin: string;
}

const rollBack = new Error('roll back');

for (const [name, open] of await testDatabases()) {
  describe(`transactions of an application on ${name}`, () => {
    let database: TestDatabase;
    let dataSource: DataSource;
    let driver: Driver;

    beforeAll(async () => {
      database = await open();
      dataSource = database.dataSource({ entities: [Order], synchronize: true });
      driver = typeormDriver({ dataSource });
      await driver.connect({ logger: silentLogger });
    });

    afterAll(async () => {
      await driver.close();
      await dataSource.destroy();
      await database.dispose();
    });

    const orders = (): ReturnType<DataSource['getRepository']> => dataSource.getRepository(Order);
    const idsOf = async (origin: string): Promise<Set<string>> =>
      new Set((await orders().find({ where: { origin } })).map((one) => (one as Order).id));
    const queued = async (queue: string): Promise<Set<string>> => {
      const seen = (await driver.inspector?.peek({ queue, status: 'ready', limit: 1_000 })) ?? [];
      return new Set(seen.map((one) => one.id));
    };
    const publish = async (queue: string, id: string, manager?: EntityManager): Promise<void> => {
      const options = manager === undefined ? {} : { transaction: manager };
      const [outcome] = (await driver.broker?.publish([outgoing(queue, { id })], options)) ?? [];
      expect(outcome?.status).toBe('accepted');
    };

    it('answers calls from inside more transactions than the data source has connections', async () => {
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          dataSource.transaction(async (manager) => {
            await manager.find(Order);
            await publish('crowd', `crowd-${index}`);
          }),
        ),
      );
      expect((await queued('crowd')).size).toBe(20);
    });

    it('keep exactly what committed, a hundred at once, with plain inserts between them', async () => {
      const all = Array.from({ length: 100 }, (_, index) => index);
      const committed = all.filter((index) => index % 2 === 0).map((index) => `t${index}`);
      await Promise.all(
        all.flatMap((index) => [
          dataSource
            .transaction(async (manager) => {
              await manager.insert(Order, { id: `t${index}`, origin: 'many' });
              await publish('many', `t${index}`, manager);
              await new Promise((resolve) => setImmediate(resolve));
              await manager.find(Order, { where: { id: `t${index}` } });
              if (index % 2 === 1) throw rollBack;
            })
            .catch((error: unknown) => expect(error).toBe(rollBack)),
          orders().insert({ id: `p${index}`, origin: 'plain' }),
          orders().save({ id: `s${index}`, origin: 'saved' }),
          publish('plain', `q${index}`),
        ]),
      );
      expect(await idsOf('many')).toEqual(new Set(committed));
      expect(await queued('many')).toEqual(new Set(committed));
      expect(await idsOf('plain')).toEqual(new Set(all.map((index) => `p${index}`)));
      expect(await idsOf('saved')).toEqual(new Set(all.map((index) => `s${index}`)));
      expect(await queued('plain')).toEqual(new Set(all.map((index) => `q${index}`)));
    });

    it('nest as savepoints of one another', async () => {
      await dataSource.transaction(async (manager) => {
        await manager.insert(Order, { id: 'outer', origin: 'nested' });
        await manager
          .transaction(async (inner) => {
            await inner.insert(Order, { id: 'inner', origin: 'nested' });
            throw rollBack;
          })
          .catch(() => undefined);
        await manager.transaction((inner) => inner.insert(Order, { id: 'second', origin: 'nested' }));
      });
      expect(await idsOf('nested')).toEqual(new Set(['outer', 'second']));
    });

    it('roll back when a query runner is used by hand', async () => {
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.insert(Order, { id: 'gone', origin: 'runner' });
      await publish('runner', 'gone', runner.manager);
      const others = orders().insert({ id: 'other', origin: 'runner' });
      await runner.rollbackTransaction();
      await runner.release();
      await others;
      expect(await idsOf('runner')).toEqual(new Set(['other']));
      expect(await queued('runner')).toEqual(new Set());
    });

    if (name !== 'sqlite') return;

    it('end with their query runner, and with a rollback that SQLite did by itself', async () => {
      const forgotten = dataSource.createQueryRunner();
      await forgotten.startTransaction();
      await forgotten.manager.insert(Order, { id: 'forgotten', origin: 'ends' });
      await forgotten.release();
      await dataSource
        .transaction(async (manager) => {
          await manager.insert(Order, { id: 'undone', origin: 'ends' });
          await manager.query('ROLLBACK');
          throw rollBack;
        })
        .catch((error: unknown) => expect(error).toBe(rollBack));
      await dataSource.transaction((manager) => manager.insert(Order, { id: 'next', origin: 'ends' }));
      expect(await idsOf('ends')).toEqual(new Set(['next']));
    });

    it('take in what is done in their flow through other repositories and without a manager', async () => {
      await dataSource
        .transaction(async () => {
          await orders().insert({ id: 'a', origin: 'flow' });
          await orders().save({ id: 'b', origin: 'flow' });
          await dataSource.transaction((inner) => inner.insert(Order, { id: 'c', origin: 'flow' }));
          await publish('flow', 'd');
          throw rollBack;
        })
        .catch((error: unknown) => expect(error).toBe(rollBack));
      expect(await idsOf('flow')).toEqual(new Set());
      expect(await queued('flow')).toEqual(new Set());
      await dataSource.transaction(async () => {
        await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            dataSource
              .transaction(async (inner) => {
                await inner.insert(Order, { id: `n${index}`, origin: 'flow' });
                if (index % 2 === 1) throw rollBack;
              })
              .catch(() => undefined),
          ),
        );
        await publish('flow', 'e');
      });
      expect(await idsOf('flow')).toEqual(new Set(['n0', 'n2', 'n4', 'n6', 'n8']));
      expect(await queued('flow')).toEqual(new Set(['e']));
    });

    it('that read first may write later, while another process writes', async () => {
      const other = database.dataSource({ entities: [Order] });
      const peer = typeormDriver({ dataSource: other });
      await peer.connect({ logger: silentLogger });
      await Promise.all(
        [dataSource, other].flatMap((source, which) =>
          Array.from({ length: 20 }, (_, index) =>
            source.transaction(async (manager) => {
              const count = await manager.count(Order, { where: { origin: 'counted' } });
              await manager.insert(Order, { id: `c${which}-${index}-${count}`, origin: 'counted' });
            }),
          ),
        ),
      );
      const numbers = [...(await idsOf('counted'))].map((id) => Number(id.split('-')[2])).sort((a, b) => a - b);
      expect(numbers).toEqual(Array.from({ length: 40 }, (_, index) => index));
      await peer.close();
      await other.destroy();
    });
  });
}
