import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DataSource } from 'typeorm';
import { BrokerError, UsageError } from '@taskqueue/core';
import type { ExchangeReply } from '../broker/exchange.js';
import { soon } from '../postgres/postgres-dialect.js';
import type { Dialect } from '../sql/dialect.js';
import { FairTurn } from './fair-turn.js';
import type { Row, SqlStore, Statement, Work } from '../sql/sql-store.js';
import { drive, driveNow } from '../sql/sql-store.js';
import { databasePath, gateDataSource } from './gated-data-source.js';
import { retryWhileBusy } from './retry-while-busy.js';
import { sqliteDialect } from './sqlite-dialect.js';
import type { SqliteDatabase, SqliteDriver, SqliteStatement } from './sqlite-driver.js';
import type { SqliteGate } from './sqlite-gate.js';

export interface SqliteStoreOptions {
  readonly dataSource: DataSource;
  /** `full`: a commit survives a crash of the machine. `normal`: it survives a crash of the process. */
  readonly synchronous: 'full' | 'normal';
  /** Called when a settlement leaves a message that falls due soon. */
  readonly onSoon?: () => void;
}

/** How long the handle itself waits for another process's lock, milliseconds: the event loop stands still meanwhile. */
const BUSY_WAIT_MS = 2;
/** How long a locked database is tried again before it counts as unavailable. */
const PATIENCE_MS = 15_000;

/**
 * An SQLite file through a handle of our own, beside the data source's and from the same library. A transaction runs
 * from BEGIN IMMEDIATE to COMMIT without giving up the thread; the gate keeps it from colliding with the data source's
 * own transactions, which do.
 */
export class SqliteStore implements SqlStore {
  readonly dialect: Dialect;
  readonly path: string;
  readonly gate: SqliteGate;
  private readonly turn = new FairTurn();
  private handle: SqliteDatabase | undefined;
  private readonly statements = new Map<string, Prepared>();

  constructor(private readonly options: SqliteStoreOptions) {
    this.dialect = options.onSoon === undefined ? sqliteDialect : telling(sqliteDialect, options.onSoon);
    this.path = databasePath(options.dataSource);
    this.gate = gateDataSource(options.dataSource);
  }

  /** The class that opens the file. */
  get library(): SqliteDriver {
    return (this.options.dataSource.driver as unknown as { sqlite: SqliteDriver }).sqlite;
  }

  get insideTransaction(): boolean {
    return this.gate.current() !== undefined;
  }

  async open(): Promise<void> {
    if (this.handle !== undefined) return;
    mkdirSync(dirname(this.path), { recursive: true });
    const handle = new this.library(this.path, { timeout: BUSY_WAIT_MS });
    try {
      // Switching to WAL needs the file for itself for a moment.
      await retryWhileBusy(() => handle.pragma('journal_mode = WAL'), PATIENCE_MS);
      handle.pragma(`synchronous = ${this.options.synchronous}`);
      handle.pragma('wal_autocheckpoint = 4000');
      handle.pragma('foreign_keys = ON');
    } catch (error) {
      handle.close();
      throw unavailable(error);
    }
    this.handle = handle;
  }

  async run<T>(work: () => Work<T>): Promise<T> {
    if (this.insideTransaction) return this.inside(work);
    await this.turn.pass();
    await this.gate.turnstile.enter();
    try {
      return await retryWhileBusy(() => this.commit(work), PATIENCE_MS);
    } catch (error) {
      throw unavailable(error);
    } finally {
      this.gate.turnstile.leave();
    }
  }

  once<T>(work: () => Work<T>): Promise<T> {
    return this.run(work);
  }

  join<T>(transaction: unknown, work: () => Work<T>): Promise<T> {
    const runner = (transaction as Partial<TransactionLike> | undefined)?.queryRunner;
    if (runner?.isTransactionActive !== true) throw notATransaction(transaction);
    return drive(work(), async ({ sql, params, counts }) => {
      const { text, order } = translated(sql);
      const { records, affected } = await runner.query(text, bindOrder(params ?? [], order), true);
      return counts === true ? [{ changes: affected }] : (records ?? []);
    });
  }

  outside<T>(body: () => Promise<T>): Promise<T> {
    return this.gate.outside(body);
  }

  /** Changes whenever another connection has committed to the file. Costs microseconds. */
  dataVersion(): number {
    const row = this.prepared(this.statements, 'PRAGMA data_version', this.database()).statement.get();
    return Number((row as Row)['data_version']);
  }

  close(): Promise<void> {
    const handle = this.handle;
    this.handle = undefined;
    this.statements.clear();
    if (handle !== undefined) {
      try {
        handle.pragma('wal_checkpoint(TRUNCATE)');
      } catch {
        // Somebody else is at work in the file, and checkpoints later.
      }
      handle.close();
    }
    return Promise.resolve();
  }

  /** One transaction, start to end, without a pause. */
  private commit<T>(work: () => Work<T>): T {
    const database = this.database();
    this.command('BEGIN IMMEDIATE', database);
    try {
      const result = driveNow(work(), (statement) => this.execute(this.statements, statement, database));
      this.command('COMMIT', database);
      return result;
    } catch (error) {
      try {
        this.command('ROLLBACK', database);
      } catch {
        // The transaction is over already, as after a full disk; the first error tells more.
      }
      throw error;
    }
  }

  /**
   * Called in the flow of a transaction of this process, which holds the lock and waits for us: only joining it can
   * work. What was done is undone with it.
   */
  private async inside<T>(work: () => Work<T>): Promise<T> {
    const connection = this.gate.current()?.connection as SqliteDatabase;
    const statements = cacheOf(connection);
    connection.exec('SAVEPOINT taskqueue');
    try {
      const result = driveNow(work(), (statement) => this.execute(statements, statement, connection));
      connection.exec('RELEASE taskqueue');
      return result;
    } catch (error) {
      connection.exec('ROLLBACK TO taskqueue');
      connection.exec('RELEASE taskqueue');
      throw error;
    }
  }

  private database(): SqliteDatabase {
    if (this.handle !== undefined) return this.handle;
    throw new BrokerError({
      code: 'BROKER_UNAVAILABLE',
      message: `The SQLite database ${this.path} is not open.`,
      remedy: 'Call connect() first, and nothing after close().',
      retryable: true,
    });
  }

  private command(sql: string, database: SqliteDatabase): void {
    this.prepared(this.statements, sql, database).statement.run();
  }

  private execute(cache: Map<string, Prepared>, statement: Statement, database: SqliteDatabase): readonly Row[] {
    const prepared = this.prepared(cache, statement.sql, database, statement.arrays);
    const params = bindOrder(statement.params ?? [], prepared.order);
    if (prepared.statement.reader) return prepared.statement.all(...params) as Row[];
    const { changes } = prepared.statement.run(...params);
    return statement.counts === true ? [{ changes }] : [];
  }

  private prepared(cache: Map<string, Prepared>, sql: string, database: SqliteDatabase, arrays?: true): Prepared {
    let prepared = cache.get(sql);
    if (prepared === undefined) {
      const { text, order } = translated(sql);
      const statement = database.prepare(text);
      prepared = { statement: arrays === true ? statement.raw(true) : statement, order };
      cache.set(sql, prepared);
    }
    return prepared;
  }
}

/**
 * A commit of our own handle does not count as a change of the file, so without a word the next look for due messages
 * would come only when it was meant to.
 */
function telling(dialect: Dialect, onSoon: () => void): Dialect {
  return {
    ...dialect,
    *exchange(request): Work<ExchangeReply> {
      const reply = yield* dialect.exchange(request);
      if (soon(request.messages) || soon(request.changes)) onSoon();
      return reply;
    },
  };
}

interface Prepared {
  readonly statement: SqliteStatement;
  readonly order: readonly number[];
}

/** The members of an EntityManager that a publication in the caller's transaction needs. */
export interface TransactionLike {
  readonly queryRunner?: {
    readonly isTransactionActive: boolean;
    query(sql: string, params: unknown[], structured: true): Promise<StructuredResult>;
  };
}

interface StructuredResult {
  readonly records?: readonly Row[];
  readonly affected?: number;
}

/** The error for a `transaction` that is none. */
export function notATransaction(value: unknown): UsageError {
  return new UsageError({
    code: 'PUBLISH_FAILED',
    message: `The option transaction is not an EntityManager with an open transaction (it is ${typeof value}).`,
    remedy: 'Pass the manager that dataSource.transaction() gives to its callback.',
    fields: { field: 'transaction' },
  });
}

const caches = new WeakMap<SqliteDatabase, Map<string, Prepared>>();

function cacheOf(connection: SqliteDatabase): Map<string, Prepared> {
  let cache = caches.get(connection);
  if (cache === undefined) {
    cache = new Map();
    caches.set(connection, cache);
  }
  return cache;
}

const translations = new Map<string, { readonly text: string; readonly order: readonly number[] }>();

/** `$3 … $1 … $3` becomes `? … ? … ?` with the order [2, 0, 2]: the one form of parameter that every library binds alike. */
function translated(sql: string): { readonly text: string; readonly order: readonly number[] } {
  let known = translations.get(sql);
  if (known === undefined) {
    const order: number[] = [];
    const text = sql.replace(/\$(\d+)/g, (_match, number: string) => {
      order.push(Number(number) - 1);
      return '?';
    });
    known = { text, order };
    translations.set(sql, known);
  }
  return known;
}

function bindOrder(params: readonly unknown[], order: readonly number[]): unknown[] {
  return order.map((index) => {
    const value = params[index] ?? null;
    if (typeof value === 'boolean') return value ? 1 : 0;
    return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
  });
}

function unavailable(error: unknown): unknown {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  const reason = typeof code === 'string' && code.startsWith('SQLITE_') ? code : errcode;
  // Locked for too long, disk full, not readable, not a database any more.
  const down = /^SQLITE_(BUSY|FULL|IOERR|CANTOPEN|READONLY|LOCKED)/.test(String(reason));
  if (!down && ![5, 6, 8, 10, 13, 14].includes(Number(errcode) & 0xff)) return error;
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `The SQLite database cannot be used: ${String((error as Error).message)}.`,
    remedy: 'It is tried again; see that the file can be written, that the disk has room, and who else holds its lock.',
    retryable: true,
    cause: error,
  });
}
