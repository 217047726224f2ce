import type { DataSource } from 'typeorm';
import type { Logger } from '@taskqueue/core';
import { BrokerError } from '@taskqueue/core';
import type { Row, SqlStore, Statement, Work } from '../sql/sql-store.js';
import { drive } from '../sql/sql-store.js';
import type { TransactionLike } from '../sqlite/sqlite-store.js';
import { notATransaction } from '../sqlite/sqlite-store.js';
import type { Dialect } from '../sql/dialect.js';
import { PostgresDialect } from './postgres-dialect.js';

/** The members of pg's classes that this package uses. */
export interface PgClient {
  query(config: PgQuery): Promise<{ readonly rows: readonly Row[] }>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

export interface PgPoolClient extends PgClient {
  release(error?: Error | boolean): void;
}

export interface PgPool {
  readonly options: Readonly<Record<string, unknown>>;
  connect(): Promise<PgPoolClient>;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

interface PgQuery {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly query_timeout?: number;
}

/** A call that has no answer after this long is given up, its connection closed: the other end may be gone silently. */
const CALL_TIMEOUT_MS = 20_000;
const ATTEMPTS = 5;
/**
 * A process that is frozen between two statements would keep its locks, and others from taking over what it held, until
 * somebody thaws or kills it. So the server ends a transaction that has been given nothing to do for so long; ours take
 * milliseconds.
 */
const BEGIN = 'begin; set local idle_in_transaction_session_timeout = 5000';

/** PostgreSQL through a pool, with the schema of a TypeORM data source. */
export class PostgresStore implements SqlStore {
  readonly dialect: Dialect;
  readonly schema: string;
  readonly insideTransaction = false;
  private readonly onPoolError: (error: Error) => void;

  constructor(
    dataSource: DataSource,
    readonly pool: PgPool,
    logger: () => Logger,
  ) {
    const driver = dataSource.driver as unknown as { schema?: string; searchSchema?: string };
    this.schema = driver.schema ?? driver.searchSchema ?? 'public';
    this.dialect = new PostgresDialect(this.schema);
    // An idle connection that dies is reported to the pool; without a listener it would end the process.
    this.onPoolError = (error) => logger().warn(`An idle connection was lost: ${error.message}`, 'TaskQueue');
  }

  open(): Promise<void> {
    this.pool.removeListener('error', this.onPoolError);
    this.pool.on('error', this.onPoolError);
    return Promise.resolve();
  }

  run<T>(work: () => Work<T>): Promise<T> {
    return this.attempt(() =>
      this.withClient(async (client) => {
        await client.query({ text: BEGIN, query_timeout: CALL_TIMEOUT_MS });
        const result = await drive(work(), (statement) => execute(client, statement));
        await client.query({ text: 'commit', query_timeout: CALL_TIMEOUT_MS });
        return result;
      }),
    );
  }

  once<T>(work: () => Work<T>): Promise<T> {
    return this.attempt(() => this.withClient((client) => drive(work(), (statement) => execute(client, statement))));
  }

  join<T>(transaction: unknown, work: () => Work<T>): Promise<T> {
    const runner = (transaction as Partial<TransactionLike> | undefined)?.queryRunner;
    if (runner?.isTransactionActive !== true) throw notATransaction(transaction);
    return drive(work(), async ({ sql, params }) => {
      const { records } = await runner.query(sql, params === undefined ? [] : [...params], true);
      return records ?? [];
    });
  }

  outside<T>(body: () => Promise<T>): Promise<T> {
    return body();
  }

  close(): Promise<void> {
    this.pool.removeListener('error', this.onPoolError);
    return Promise.resolve();
  }

  private async attempt<T>(call: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call();
      } catch (error) {
        // Deadlock or serialization failure: rolled back as a whole, so it can simply be done again.
        const { code } = error as { code?: unknown };
        if (attempt === ATTEMPTS || (code !== '40P01' && code !== '40001')) throw unavailable(error);
        await new Promise((resolve) => setTimeout(resolve, attempt * 5 * Math.random()));
      }
    }
  }

  private async withClient<T>(use: (client: PgClient) => Promise<T>): Promise<T> {
    const client = await this.connect();
    let broken: Error | undefined;
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on('error', onError);
    try {
      return await use(client);
    } catch (error) {
      // Whatever is open in it ends with the connection: cheaper than to find out in which state it is.
      broken ??= error as Error;
      throw error;
    } finally {
      client.removeListener('error', onError);
      client.release(broken);
    }
  }

  private async connect(): Promise<PgPoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw new BrokerError({
        code: 'BROKER_UNAVAILABLE',
        message: `PostgreSQL cannot be reached: ${describe(error)}.`,
        remedy: 'It is tried again; see that the server runs and that URL, credentials and limits are right.',
        retryable: true,
        fields: { sent: false },
        cause: error,
      });
    }
  }
}

async function execute(client: PgClient, { sql, params }: Statement): Promise<readonly Row[]> {
  const { rows } = await client.query({ text: sql, values: params ?? [], query_timeout: CALL_TIMEOUT_MS });
  return rows;
}

/** Was the call sent before the connection broke? Then nobody knows whether it took effect. */
export function isFateUnknown(error: unknown): boolean {
  return error instanceof BrokerError && error.code === 'BROKER_UNAVAILABLE' && error.fields['sent'] === true;
}

/** SQLSTATEs of a server that cannot serve: connection, resources, shutdown, system error, and a transaction that idled. */
const DOWN = /^(08|53|57P|58|25P03)/;

/** Errors of the server about the statement stay as they are; the rest is the connection's. */
function unavailable(error: unknown): unknown {
  if (error instanceof BrokerError) return error;
  const { code } = error as { code?: unknown };
  const state = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
  if (error instanceof Error && state === undefined && 'code' in error && code === 'ERR_INVALID_ARG_TYPE') return error;
  if (state !== undefined && !DOWN.test(state)) return error;
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `PostgreSQL does not answer: ${describe(error)}.`,
    remedy: 'It is tried again; see that the server runs and that URL, credentials and limits are right.',
    retryable: true,
    // Out of resources (53) is said before anything is done.
    fields: { sent: state?.startsWith('53') !== true },
    cause: error,
  });
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return error instanceof Error ? error.message : String(error);
}
