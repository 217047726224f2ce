import { createRequire } from 'node:module';
import { ConfigurationError } from '@taskqueue/core';

/** The libraries that can open an SQLite file, in order of preference. */
export const SQLITE_LIBRARIES = ['better-sqlite3', 'node:sqlite', '@photostructure/sqlite'] as const;
/** A library that opens SQLite files, by the name of its package. */
export type SqliteLibrary = (typeof SQLITE_LIBRARIES)[number];

/** A prepared statement, as far as TypeORM and this package use one. */
export interface SqliteStatement {
  /** True when it returns rows. */
  readonly reader: boolean;
  all(...params: unknown[]): unknown[];
  get(...params: unknown[]): unknown;
  run(...params: unknown[]): { readonly changes: number; readonly lastInsertRowid: number | bigint };
  /** From now on rows are arrays of their columns. */
  raw(toggle: true): this;
}

/** An open database, as far as TypeORM and this package use one. */
export interface SqliteDatabase {
  readonly open: boolean;
  prepare(sql: string): SqliteStatement;
  pragma(source: string, options?: { readonly simple?: boolean }): unknown;
  exec(sql: string): unknown;
  close(): unknown;
}

/** How a file is opened. */
export interface SqliteOpenOptions {
  readonly readonly?: boolean;
  /** How long a locked database is waited for, milliseconds. The thread does nothing else meanwhile. Default 5 000. */
  readonly timeout?: number;
}

/** What the option `driver` of a `better-sqlite3` data source takes. */
export type SqliteDriver = new (path: string, options?: SqliteOpenOptions) => SqliteDatabase;

/** node:sqlite and @photostructure/sqlite, which has the same interface. */
interface DatabaseSync {
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  close(): void;
}

interface StatementSync {
  all(...params: unknown[]): unknown[];
  get(...params: unknown[]): unknown;
  run(...params: unknown[]): { changes: number; lastInsertRowid: number | bigint };
  columns?(): readonly unknown[];
  setReturnArrays?(enabled: boolean): void;
}

type DatabaseSyncConstructor = new (path: string, options: { readOnly: boolean; timeout: number }) => DatabaseSync;

const require = createRequire(import.meta.url);
const loaded = new Map<SqliteLibrary, SqliteDriver>();

/**
 * A driver for TypeORM's `better-sqlite3` type that needs no compiler: better-sqlite3 when it is installed and loads,
 * else Node's own (Node 22.13 and later), else @photostructure/sqlite.
 *
 * ```ts
 * new DataSource({ type: 'better-sqlite3', driver: sqliteDriver(), database: 'data/app.sqlite' });
 * ```
 *
 * `library` insists on one. Throws ConfigurationError when none loads. Everything in a process that opens one file
 * must use the same library: POSIX locks do not tell two copies of SQLite in one process apart.
 */
export function sqliteDriver(library?: SqliteLibrary): SqliteDriver {
  const failures: string[] = [];
  for (const candidate of library === undefined ? SQLITE_LIBRARIES : [library]) {
    try {
      return load(candidate);
    } catch (error) {
      failures.push(`${candidate}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  }
  throw new ConfigurationError([
    {
      path: 'sqlite driver',
      expected: 'a library that opens SQLite files',
      value: failures.join('; '),
      remedy: 'Install better-sqlite3 or @photostructure/sqlite, or use Node 22.13 or later.',
    },
  ]);
}

/** Which library a driver is; undefined for one that did not come from {@link sqliteDriver} and is not better-sqlite3. */
export function libraryOf(driver: unknown): SqliteLibrary | undefined {
  for (const [library, known] of loaded) if (known === driver) return library;
  try {
    if (load('better-sqlite3') === driver) return 'better-sqlite3';
  } catch {
    // Not installed, so it is not that.
  }
  return undefined;
}

/** True for "the database is locked" by any of the libraries, also inside TypeORM's wrapping. */
export function isBusy(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, errcode, driverError } = error as { code?: unknown; errcode?: unknown; driverError?: unknown };
  if (typeof code === 'string' && code.startsWith('SQLITE_BUSY')) return true;
  if (typeof errcode === 'number' && (errcode & 0xff) === 5) return true;
  return driverError !== undefined && driverError !== error && isBusy(driverError);
}

function load(library: SqliteLibrary): SqliteDriver {
  const known = loaded.get(library);
  if (known !== undefined) return known;
  const driver = library === 'better-sqlite3' ? loadBetterSqlite() : adapt(loadDatabaseSync(library));
  loaded.set(library, driver);
  return driver;
}

/** Opens a database at once, because the native part is loaded only then, and may be built for another Node. */
function loadBetterSqlite(): SqliteDriver {
  const driver = require('better-sqlite3') as SqliteDriver;
  new driver(':memory:').close();
  return driver;
}

function loadDatabaseSync(library: SqliteLibrary): DatabaseSyncConstructor {
  return (require(library) as { DatabaseSync: DatabaseSyncConstructor }).DatabaseSync;
}

/** better-sqlite3's interface on top of node:sqlite's. */
function adapt(DatabaseSync: DatabaseSyncConstructor): SqliteDriver {
  return class AdaptedDatabase implements SqliteDatabase {
    open = true;
    private readonly database: DatabaseSync;

    constructor(path: string, options: SqliteOpenOptions = {}) {
      const timeout = options.timeout ?? 5_000;
      this.database = new DatabaseSync(path, { readOnly: options.readonly ?? false, timeout });
      // Node before 22.16 does not know the option, and would not wait at all.
      this.database.exec(`PRAGMA busy_timeout = ${Math.trunc(timeout)}`);
    }

    prepare(sql: string): SqliteStatement {
      return new AdaptedStatement(this.database.prepare(sql), sql);
    }

    pragma(source: string, options: { readonly simple?: boolean } = {}): unknown {
      const rows = this.database.prepare(`PRAGMA ${source}`).all();
      return options.simple === true ? Object.values((rows[0] ?? {}) as Record<string, unknown>)[0] : rows;
    }

    exec(sql: string): this {
      this.database.exec(sql);
      return this;
    }

    close(): this {
      if (this.open) {
        this.open = false;
        this.database.close();
      }
      return this;
    }
  };
}

class AdaptedStatement implements SqliteStatement {
  readonly reader: boolean;
  /** Node before 22.16 has objects only. */
  private converts = false;

  constructor(
    private readonly statement: StatementSync,
    sql: string,
  ) {
    // Node before 22.16 cannot tell the columns of a statement.
    this.reader =
      statement.columns === undefined
        ? /^\s*(select|with|pragma|values|explain)\b|\breturning\b/i.test(sql)
        : statement.columns().length > 0;
  }

  raw(toggle: true): this {
    if (this.statement.setReturnArrays === undefined) this.converts = toggle;
    else this.statement.setReturnArrays(toggle);
    return this;
  }

  all(...params: unknown[]): unknown[] {
    try {
      const rows = this.statement.all(...params.map(bindable));
      return this.converts ? rows.map((row) => Object.values(row as object)) : rows;
    } catch (error) {
      throw withCode(error);
    }
  }

  get(...params: unknown[]): unknown {
    return this.statement.get(...params.map(bindable));
  }

  run(...params: unknown[]): { changes: number; lastInsertRowid: number | bigint } {
    return this.statement.run(...params.map(bindable));
  }
}

/** SQLite's own words for what passes by itself, and their codes. */
const CODES: Readonly<Record<string, number>> = {
  'database is locked': 5,
  'database table is locked': 6,
  'attempt to write a readonly database': 8,
  'disk I/O error': 10,
  'database or disk is full': 13,
  'unable to open database file': 14,
};

/** @photostructure/sqlite leaves the code out of errors of this one method. */
function withCode(error: unknown): unknown {
  if (!(error instanceof Error) || 'errcode' in error) return error;
  const errcode = CODES[error.message];
  return errcode === undefined ? error : Object.assign(error, { errcode });
}

/** TypeORM hands over dates and undefined, which SQLite cannot bind. */
function bindable(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value instanceof Date ? value.toISOString() : value;
}
