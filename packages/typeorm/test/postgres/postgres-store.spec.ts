import { silentLogger } from '@taskqueue/core';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { PgPool } from '../../src/postgres/postgres-store.js';
import { PostgresStore } from '../../src/postgres/postgres-store.js';
import { statement } from '../../src/sql/sql-store.js';
import { testDatabases } from '../databases.js';

const [, postgres] = await testDatabases();
const create = postgres?.[1];

describe.skipIf(create === undefined)('a transaction of ours on PostgreSQL', () => {
  it('is ended by the server when it is given nothing to do, so that a frozen process holds its locks for seconds only', async () => {
    const database = await create?.();
    const dataSource = database?.dataSource({ poolSize: 1 } as never);
    await dataSource?.initialize();
    try {
      const { master } = (dataSource as DataSource).driver as unknown as { master: PgPool };
      const store = new PostgresStore(dataSource as never, master, () => silentLogger);
      const limit = 'show idle_in_transaction_session_timeout';
      const [inside] = await store.run(() => statement(limit));
      const [after] = await store.once(() => statement(limit));
      expect(inside?.['idle_in_transaction_session_timeout']).toBe('5s');
      expect(after?.['idle_in_transaction_session_timeout'], 'the connection is the application’s too').toBe('0');
    } finally {
      await dataSource?.destroy();
      await database?.dispose();
    }
  });
});
