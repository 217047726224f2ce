import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import type { DataSourceOptions } from 'typeorm';
import { describe, it } from 'vitest';
import { sqliteDriver } from '../src/index.js';

/** A database of a test's own. */
export interface TestDatabase {
  readonly kind: 'sqlite' | 'postgres';
  /** For `createDriver`. */
  readonly url: string;
  dataSource(extra?: Partial<DataSourceOptions>): DataSource;
  dispose(): Promise<void>;
}

const POSTGRES_URL = process.env['TEST_POSTGRES_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres';

export function sqliteDatabase(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'taskqueue-'));
  const path = join(folder, 'test.sqlite');
  return {
    kind: 'sqlite',
    url: `sqlite:${path}`,
    dataSource: (extra) =>
      new DataSource({ type: 'better-sqlite3', driver: sqliteDriver(), database: path, ...extra } as DataSourceOptions),
    dispose: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

/** A schema of its own in the test server's database. */
export async function postgresDatabase(): Promise<TestDatabase> {
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  await administer(`create schema "${schema}"`);
  const url = new URL(POSTGRES_URL);
  url.searchParams.set('schema', schema);
  return {
    kind: 'postgres',
    url: url.href,
    dataSource: (extra) =>
      new DataSource({ type: 'postgres', url: POSTGRES_URL, schema, poolSize: 8, ...extra } as DataSourceOptions),
    dispose: () => administer(`drop schema "${schema}" cascade`),
  };
}

export async function administer(sql: string): Promise<void> {
  const admin = new DataSource({ type: 'postgres', url: POSTGRES_URL, installExtensions: false });
  await admin.initialize();
  try {
    await admin.query(sql);
  } finally {
    await admin.destroy();
  }
}

/** The databases to test on. Without a PostgreSQL server: skipped here, a failure where services are required. */
export async function testDatabases(): Promise<readonly ['sqlite' | 'postgres', () => Promise<TestDatabase>][]> {
  const all: ['sqlite' | 'postgres', () => Promise<TestDatabase>][] = [
    ['sqlite', () => Promise.resolve(sqliteDatabase())],
  ];
  const required = process.env['CI'] !== undefined || process.env['REQUIRE_SERVICES'] !== undefined;
  const reachable = await administer('select 1').then(
    () => true,
    () => false,
  );
  if (reachable || required) all.push(['postgres', postgresDatabase]);
  // What is not tested is to be seen in the report.
  else {
    describe.skip('[postgres]', () => {
      it('has no server', () => undefined);
    });
  }
  return all;
}
