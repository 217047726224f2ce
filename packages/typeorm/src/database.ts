import type { DriverMigrations } from '@taskqueue/core';
import { BrokerError, ConfigurationError, isTaskQueueError } from '@taskqueue/core';
import type { DataSource } from 'typeorm';
import { dataSourceFor } from './connection-url.js';
import type { TypeormDriverOptions } from './driver-options.js';
import { keepOwnTableNames } from './entities/own-table-names.js';
import { ensureSchema, pendingMigrations } from './ensure-schema.js';
import { openPostgres } from './postgres/open-postgres.js';
import type { OpenedDatabase, OpenRequest } from './opened-database.js';
import { openSqlite } from './sqlite/open-sqlite.js';

/** Throws ConfigurationError for a data source of another kind, BROKER_UNAVAILABLE when the database cannot be reached. */
export async function openDatabase(request: Omit<OpenRequest, 'dataSource'>): Promise<OpenedDatabase> {
  const { options } = request;
  const dataSource = await dataSourceOf(options);
  const isOwn = options.url !== undefined;
  const open = opener(dataSource);
  try {
    if (!dataSource.isInitialized) await dataSource.initialize();
    keepOwnTableNames(dataSource);
    if (options.migrations !== 'manual') await ensureSchema(dataSource);
    const database = await open({ ...request, dataSource });
    return {
      store: database.store,
      keepAlive: (consumer) => database.keepAlive(consumer),
      describe: () => database.describe(),
      close: async () => {
        await database.close();
        if (isOwn && dataSource.isInitialized) await dataSource.destroy();
      },
    };
  } catch (error) {
    if (isOwn && dataSource.isInitialized) await dataSource.destroy().catch(() => undefined);
    throw isTaskQueueError(error) ? error : unreachable(error);
  }
}

/** The migrations of the database, which need not be in use; errors as of `openDatabase`. */
export function databaseMigrations(options: TypeormDriverOptions): DriverMigrations {
  const within = async <T>(work: (dataSource: DataSource) => Promise<T>): Promise<T> => {
    const dataSource = await dataSourceOf(options);
    opener(dataSource);
    try {
      if (!dataSource.isInitialized) await dataSource.initialize();
      return await work(dataSource);
    } catch (error) {
      throw isTaskQueueError(error) ? error : unreachable(error);
    } finally {
      if (options.url !== undefined && dataSource.isInitialized) await dataSource.destroy();
    }
  };
  return { pending: () => within(pendingMigrations), run: () => within(ensureSchema) };
}

async function dataSourceOf(options: TypeormDriverOptions): Promise<DataSource> {
  if (options.url !== undefined) return dataSourceFor(options.url);
  const { dataSource } = options;
  return (typeof dataSource === 'function' ? await dataSource() : dataSource) as DataSource;
}

function opener(dataSource: DataSource): (request: OpenRequest) => Promise<OpenedDatabase> {
  const { type, database } = dataSource.options;
  if (type === 'postgres') return openPostgres;
  if (type === 'better-sqlite3' && !String(database).includes(':memory:') && database !== '') return openSqlite;
  throw new ConfigurationError([
    {
      path: 'dataSource',
      expected: 'a data source of type postgres, or of type better-sqlite3 on a file',
      value: type === 'better-sqlite3' ? 'better-sqlite3 in memory' : type,
      remedy: 'For tests without a database use the memory driver.',
    },
  ]);
}

function unreachable(error: unknown): BrokerError {
  const message = error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error);
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `The database cannot be used: ${message}.`,
    remedy: 'It is tried again; see that it runs and that its options or URL are right.',
    retryable: true,
    fields: { sent: false },
    cause: error,
  });
}
