import { resolve } from 'node:path';
import { DataSource } from 'typeorm';
import { ConfigurationError } from '@taskqueue/core';
import { sqliteDriver } from './sqlite/sqlite-driver.js';

/** Connections of a data source that the driver makes for itself. */
const POOL_SIZE = 10;

/** A data source for a URL. Throws ConfigurationError for one of another kind, and for SQLite in memory. */
export function dataSourceFor(url: string): DataSource {
  if (/^postgres(ql)?:/.test(url)) return postgresDataSource(url);
  if (url.startsWith('sqlite:')) return sqliteDataSource(url);
  throw invalidUrl(url, 'postgres://user:password@host/database or sqlite:./path/to/file.sqlite');
}

/** A URL as it may be logged: without credentials and parameters. */
export function withoutCredentials(url: string): string {
  if (!URL.canParse(url)) return url.split(/[?#@]/).at(-1) ?? '';
  const parsed = new URL(url);
  return parsed.host === ''
    ? `${parsed.protocol}${parsed.pathname}`
    : `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

function postgresDataSource(url: string): DataSource {
  if (!URL.canParse(url)) throw invalidUrl('postgres:…', 'postgres://user:password@host/database');
  const parsed = new URL(url);
  const { username, password, pathname } = parsed;
  if (![username, password, pathname].every((part) => decoded(part) !== undefined)) {
    throw invalidUrl(url, PERCENT_REMEDY);
  }
  const schema = parsed.searchParams.get('schema') ?? undefined;
  parsed.searchParams.delete('schema');
  return new DataSource({
    type: 'postgres',
    url: parsed.href,
    ...(schema === undefined ? {} : { schema }),
    installExtensions: false,
    poolSize: POOL_SIZE,
    applicationName: 'taskqueue',
    connectTimeoutMS: 10_000,
  });
}

function sqliteDataSource(url: string): DataSource {
  const path = pathOf(url);
  if (path === '' || path.includes(':memory:')) {
    throw invalidUrl(url, 'a file: other processes and our own second handle cannot see a database in memory');
  }
  return new DataSource({ type: 'better-sqlite3', driver: sqliteDriver(), database: resolve(path), enableWAL: true });
}

/** The path of `sqlite:…`, whose own percent signs are written `%25`. */
function pathOf(url: string): string {
  const path = decoded(url.slice('sqlite:'.length).replace(/^\/\/(?=\/|\.)/, ''));
  if (path === undefined) throw invalidUrl(url, PERCENT_REMEDY);
  return path;
}

const PERCENT_REMEDY =
  'a percent sign to be followed by two hexadecimal digits, and one that is meant to be written %25';

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function invalidUrl(url: string, expected: string): ConfigurationError {
  return new ConfigurationError([
    {
      path: 'url',
      expected,
      value: withoutCredentials(url),
      remedy: 'For tests without a database use the memory driver.',
    },
  ]);
}
