import { resolve } from 'node:path';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { retryWhileBusy } from './retry-while-busy.js';
import type { SqliteScope } from './sqlite-gate.js';
import { SqliteGate, gateOf } from './sqlite-gate.js';

/** The members of TypeORM's SQLite classes that the gate needs, beyond their public interface. */
interface SqliteQueryRunner extends QueryRunner {
  transactionDepth: number;
  stmtCache?: Map<string, unknown>;
}

interface SqliteDriverInternals {
  queryRunner?: unknown;
  databaseConnection?: { pragma(source: string): unknown };
  createQueryRunner(mode: 'master' | 'slave'): QueryRunner;
}

const GATED: unique symbol = Symbol.for('@taskqueue/typeorm/gated') as never;

/** While the connection itself waits for another process's lock, nothing else of this process runs: keep it short. */
const BUSY_WAIT_MS = 5;

/** Absolute path of the file of a `better-sqlite3` data source. */
export function databasePath(dataSource: DataSource): string {
  return resolve(String((dataSource.options as { database?: unknown }).database));
}

/**
 * TypeORM gives an SQLite data source one connection and one query runner, so transactions that overlap in time become
 * savepoints of one another and commit or roll back each other's rows (typeorm#1884). This makes the transactions of
 * `dataSource` take turns: each gets a query runner of its own, begins IMMEDIATE (a transaction that reads first could
 * otherwise not write later), and has the connection for itself until it ends; plain statements of others wait for
 * it. Statements in the transaction's own flow, through whatever repository, belong to the transaction. Idempotent.
 */
export function gateDataSource(dataSource: DataSource): SqliteGate {
  const gate = gateOf(databasePath(dataSource));
  const marked = dataSource as DataSource & { [GATED]?: true };
  if (marked[GATED] === true) return gate;
  marked[GATED] = true;
  const driver = dataSource.driver as unknown as SqliteDriverInternals;
  const patience = Number((dataSource.options as { timeout?: number }).timeout ?? 5_000);
  const createQueryRunner = driver.createQueryRunner.bind(driver);
  const statements = new Map<string, unknown>();
  let connection: unknown;
  driver.createQueryRunner = (mode) => {
    delete driver.queryRunner;
    const runner = createQueryRunner(mode) as SqliteQueryRunner;
    if (driver.databaseConnection !== connection) {
      connection = driver.databaseConnection;
      statements.clear();
      driver.databaseConnection?.pragma(`busy_timeout = ${BUSY_WAIT_MS}`);
    }
    runner.stmtCache = statements;
    new GatedRunner(runner, gate, patience);
    return runner;
  };
  gateManager(dataSource.manager, gate);
  const createEntityManager = dataSource.createEntityManager.bind(dataSource);
  dataSource.createEntityManager = (runner) => gateManager(createEntityManager(runner), gate);
  return gate;
}

/** The methods that open a transaction. */
const TRANSACTIONAL = ['transaction', 'save', 'remove', 'softRemove', 'recover'] as const;

/** Each such call is a flow of its own, so that calls made side by side do not look nested. */
function gateManager(manager: EntityManager, gate: SqliteGate): EntityManager {
  const methods = manager as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for (const name of TRANSACTIONAL) {
    const method = methods[name]?.bind(manager);
    if (method !== undefined) methods[name] = (...args) => gate.enclose(() => method(...args));
  }
  return manager;
}

/** The connection for itself: from BEGIN to COMMIT or ROLLBACK. */
interface Turn {
  readonly leave: () => void;
  /** The flow of this transaction, when it was opened by a method that has one. */
  readonly scope: SqliteScope | undefined;
  /** A transaction inside another one, as a savepoint. */
  readonly nested: boolean;
}

/** Replaces the methods of one query runner by ones that wait for their turn. */
class GatedRunner {
  private turn: Turn | undefined;
  private readonly query: (...args: unknown[]) => Promise<unknown>;
  private readonly begin: QueryRunner['startTransaction'];
  private readonly commit: QueryRunner['commitTransaction'];
  private readonly rollback: QueryRunner['rollbackTransaction'];

  constructor(
    private readonly runner: SqliteQueryRunner,
    private readonly gate: SqliteGate,
    private readonly patience: number,
  ) {
    this.query = runner.query.bind(runner) as never;
    this.begin = runner.startTransaction.bind(runner);
    this.commit = runner.commitTransaction.bind(runner);
    this.rollback = runner.rollbackTransaction.bind(runner);
    runner.query = ((...args: unknown[]) => this.run(args)) as never;
    runner.startTransaction = (isolation) => this.start(isolation);
    runner.commitTransaction = () => this.commit().then(() => this.end());
    runner.rollbackTransaction = () => this.undo();
    const release = runner.release.bind(runner);
    // What nobody ended would stay open on the connection that all share.
    runner.release = () => (this.turn === undefined ? Promise.resolve() : this.undo()).then(release);
  }

  private async run(args: unknown[]): Promise<unknown> {
    if (this.turn !== undefined) return this.runInTurn(args);
    if (this.gate.current() !== undefined) return this.query(...args);
    await this.gate.turnstile.enter();
    try {
      return await retryWhileBusy(() => this.query(...args), this.patience);
    } finally {
      this.gate.turnstile.leave();
    }
  }

  private runInTurn([sql, ...rest]: unknown[]): Promise<unknown> {
    if (sql !== 'BEGIN TRANSACTION') return this.query(sql, ...rest);
    return retryWhileBusy(() => this.query('BEGIN IMMEDIATE', ...rest), this.patience);
  }

  private async start(isolation: Parameters<QueryRunner['startTransaction']>[0]): Promise<void> {
    if (this.turn !== undefined) return this.begin(isolation);
    const turn = await takeTurn(this.gate);
    this.turn = turn;
    if (turn.nested) this.runner.transactionDepth = 1;
    try {
      await this.begin(isolation);
      if (turn.scope !== undefined) {
        Object.assign(turn.scope, { state: 'open', connection: await this.runner.connect() });
      }
    } catch (error) {
      Object.assign(this.runner, { isTransactionActive: false, transactionDepth: 0 });
      this.end();
      throw error;
    }
  }

  private async undo(): Promise<void> {
    try {
      await this.rollback();
    } catch (error) {
      // SQLite has rolled back by itself, as it does when the disk is full.
      Object.assign(this.runner, { isTransactionActive: false, transactionDepth: 0 });
      throw error;
    } finally {
      this.end();
    }
  }

  /** Gives the turn back, unless a savepoint of this runner has ended and not its transaction. */
  private end(): void {
    const { turn, runner } = this;
    if (turn === undefined) return;
    if (turn.nested ? runner.transactionDepth > 1 : runner.isTransactionActive) return;
    if (turn.nested) Object.assign(runner, { isTransactionActive: false, transactionDepth: 0 });
    if (turn.scope !== undefined) turn.scope.state = 'ended';
    this.turn = undefined;
    turn.leave();
  }
}

async function takeTurn(gate: SqliteGate): Promise<Turn> {
  const enclosing = gate.enclosing();
  const outer = gate.current();
  const turnstile = outer === undefined ? gate.turnstile : outer.inner;
  await turnstile.enter();
  return {
    leave: () => turnstile.leave(),
    scope: enclosing?.state === 'new' ? enclosing : undefined,
    nested: outer !== undefined,
  };
}
