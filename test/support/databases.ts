import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/** A fresh, empty database of a test's own. */
export interface TestDatabase {
  readonly kind: 'sqlite' | 'postgres';
  /** As drivers take it. */
  readonly url: string;
  remove(): Promise<void>;
}

/** Where PostgreSQL is, or undefined: then its tests are skipped, and the set-up has said so. */
export const postgresUrl = process.env['TEST_POSTGRES_URL'];

/** The databases that every end-to-end test runs on, where they are {@link isThere there}. */
export const DATABASES = ['sqlite', 'postgres'] as const;

export function isThere(kind: 'sqlite' | 'postgres'): boolean {
  return kind === 'sqlite' || postgresUrl !== undefined;
}

export async function createDatabase(kind: 'sqlite' | 'postgres'): Promise<TestDatabase> {
  return kind === 'sqlite' ? createSqlite() : createPostgres();
}

function createSqlite(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'taskqueue-sqlite-'));
  return {
    kind: 'sqlite',
    url: `sqlite:${join(folder, 'queue.sqlite')}`,
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

async function createPostgres(): Promise<TestDatabase> {
  const base = new URL(postgresUrl as string);
  const name = `taskqueue_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  await admin(`create database "${name}"`);
  const url = new URL(base);
  url.pathname = `/${name}`;
  return { kind: 'postgres', url: url.href, remove: () => admin(`drop database if exists "${name}" with (force)`) };
}

async function admin(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl as string });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
