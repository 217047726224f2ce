import type { DataSource, QueryRunner } from 'typeorm';
import { keepOwnTableNames } from './entities/own-table-names.js';
import { TASK_QUEUE_MIGRATIONS } from './migrations/index.js';
import { schemaPrefix } from './postgres/postgres-dialect.js';
import { TABLE_PREFIX } from './sql/dialect.js';
import { gateDataSource } from './sqlite/gated-data-source.js';

/** Key of the advisory lock; only our migrations take it. */
const LOCK = 7_163_500_471;

/**
 * Creates or upgrades our tables, in one transaction, one process at a time: any number of processes may call it at
 * once on an empty database. What was done is noted in a table of our own, apart from the application's migrations.
 * Resolves with the names of the migrations that were run, oldest first.
 */
export async function ensureSchema(dataSource: DataSource): Promise<readonly string[]> {
  const isPostgres = dataSource.options.type === 'postgres';
  if (!isPostgres) gateDataSource(dataSource);
  keepOwnTableNames(dataSource);
  const runner = dataSource.createQueryRunner();
  try {
    await runner.startTransaction();
    try {
      // A lock of the transaction: one of the session would stay with the pooled connection.
      if (isPostgres) await runner.query(`select pg_advisory_xact_lock(${LOCK})`);
      const run = await migrate(runner, migrationTable(dataSource));
      await runner.commitTransaction();
      return run;
    } catch (error) {
      await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    }
  } finally {
    await runner.release();
  }
}

/** Names of the migrations that `ensureSchema` would run. Changes nothing. */
export async function pendingMigrations(dataSource: DataSource): Promise<readonly string[]> {
  const table = migrationTable(dataSource);
  const [text] =
    dataSource.options.type === 'postgres'
      ? await dataSource.query<{ found: unknown }[]>('select to_regclass($1) as found', [table])
      : await dataSource.query<{ found: unknown }[]>(
          `select name as found from sqlite_master where type = 'table' and name = '${TABLE_PREFIX}migration'`,
        );
  const isThere = text !== undefined && text.found !== null;
  const rows = isThere ? await dataSource.query<{ name: string }[]>(`select name from ${table}`) : [];
  const done = new Set(rows.map((row) => row.name));
  return TASK_QUEUE_MIGRATIONS.map((Migration) => new Migration().name).filter((name) => !done.has(name));
}

async function migrate(runner: QueryRunner, table: string): Promise<readonly string[]> {
  const run: string[] = [];
  await runner.query(`create table if not exists ${table} (name varchar(255) primary key not null)`);
  const rows = (await runner.query(`select name from ${table}`)) as { name: string }[];
  const done = new Set(rows.map((row) => row.name));
  for (const Migration of TASK_QUEUE_MIGRATIONS) {
    const migration = new Migration();
    if (done.has(migration.name)) continue;
    await migration.up(runner);
    const placeholder = runner.dataSource.options.type === 'postgres' ? '$1' : '?';
    await runner.query(`insert into ${table} (name) values (${placeholder})`, [migration.name]);
    run.push(migration.name);
  }
  return run;
}

function migrationTable(dataSource: DataSource): string {
  const name = `"${TABLE_PREFIX}migration"`;
  if (dataSource.options.type !== 'postgres') return name;
  const { schema, searchSchema } = dataSource.driver as { schema?: string; searchSchema?: string };
  return schemaPrefix(schema ?? searchSchema ?? 'public') + name;
}
