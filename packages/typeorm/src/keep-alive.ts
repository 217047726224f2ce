import type { KeepAliveLoop } from '@taskqueue/core';
import type { SqliteLibrary } from './sqlite/sqlite-driver.js';

/** What the thread needs to renew one consumer's row. Structured-cloneable. */
export type KeepAliveData =
  | {
      readonly kind: 'postgres';
      /** For pg's Client. */
      readonly connection: Readonly<Record<string, unknown>>;
      readonly sql: string;
      readonly consumer: number;
    }
  | {
      readonly kind: 'sqlite';
      readonly library: SqliteLibrary;
      readonly path: string;
      readonly synchronous: 'full' | 'normal';
      readonly sql: string;
      readonly consumer: number;
    };

/**
 * How long a call of the library waits for another writer; between calls the thread can be stopped. A thread must not
 * be terminated in the middle of a call: what is native in it would end the process.
 */
const BUSY_WAIT_MS = 5;

/**
 * Renews a consumer's row over a connection of its own, from a thread that no handler can block. `sql` is an update
 * that takes the lease in milliseconds and the row's id, and returns the row.
 */
export function keepAlive(data: unknown): Promise<KeepAliveLoop> {
  const wanted = data as KeepAliveData;
  return wanted.kind === 'postgres' ? onPostgres(wanted) : onSqlite(wanted);
}

async function onPostgres(data: KeepAliveData & { kind: 'postgres' }): Promise<KeepAliveLoop> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ ...data.connection, application_name: 'taskqueue keep-alive' });
  // A connection that breaks fails the next renewal; it must not end the process.
  client.on('error', () => undefined);
  await client.connect();
  return {
    async renew(leaseMs) {
      const config = { text: data.sql, values: [Math.ceil(leaseMs), data.consumer], query_timeout: leaseMs / 2 };
      return ((await client.query(config)).rowCount ?? 0) > 0;
    },
    close: () => client.end(),
  };
}

async function onSqlite(data: KeepAliveData & { kind: 'sqlite' }): Promise<KeepAliveLoop> {
  const { sqliteDriver } = await import('./sqlite/sqlite-driver.js');
  const { retryWhileBusy } = await import('./sqlite/retry-while-busy.js');
  const Database = sqliteDriver(data.library);
  const database = new Database(data.path, { timeout: BUSY_WAIT_MS });
  database.pragma(`synchronous = ${data.synchronous}`);
  const renewal = database.prepare(data.sql);
  return {
    renew: async (leaseMs) => {
      const rows = await retryWhileBusy(() => renewal.all(Math.ceil(leaseMs), data.consumer), leaseMs / 2);
      return rows.length > 0;
    },
    close: () => {
      database.close();
      return Promise.resolve();
    },
  };
}
