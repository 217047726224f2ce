import type { Dialect } from './dialect.js';

/** One SQL statement with `$1`-style parameters. A string array is one parameter. */
export interface Statement {
  readonly sql: string;
  readonly params?: readonly SqlValue[];
  /**
   * Each row as an array of its columns ({@link ArrayRow}), which costs half as much as an object. Only a store that runs a
   * work at once does that.
   */
  readonly arrays?: true;
  /** Answers one row with the number of rows it has changed, `[{ changes }]`, for a statement that returns none. Only on SQLite. */
  readonly counts?: true;
}

export type SqlValue = string | number | boolean | null | readonly string[] | readonly number[];
export type Row = Readonly<Record<string, unknown>>;
/** What a statement with `arrays` answers; a `Row` by its indexes. */
export type ArrayRow = readonly unknown[] & Row;

/**
 * A transaction, written once for both databases: a generator that yields statements, gets their rows, and returns a
 * result. SQLite runs it without a pause, so that its lock is held for microseconds; PostgreSQL awaits each statement.
 */
export type Work<T> = Generator<Statement, T, readonly Row[]>;

/** A database as the ports of this package use it. Errors are TaskQueueErrors where the database cannot be reached. */
export interface SqlStore {
  readonly dialect: Dialect;
  /** True when the caller is in the flow of an open transaction that alone can write: what it does then joins it. */
  readonly insideTransaction: boolean;
  /** Runs the statements in one transaction of their own; a deadlock is tried again. */
  run<T>(work: () => Work<T>): Promise<T>;
  /** The same for work that yields exactly one statement, which needs no transaction around it. */
  once<T>(work: () => Work<T>): Promise<T>;
  /** Runs the statements in the caller's transaction. Throws UsageError for what is none of this database. */
  join<T>(transaction: unknown, work: () => Work<T>): Promise<T>;
  /** Runs `body` as if in the flow of no transaction. */
  outside<T>(body: () => Promise<T>): Promise<T>;
  /** Opens what it needs. Idempotent. */
  open(): Promise<void>;
  close(): Promise<void>;
}

/** A work of one statement that answers its rows. */
export function* statement(sql: string, params?: readonly SqlValue[]): Work<readonly Row[]> {
  return yield params === undefined ? { sql } : { sql, params };
}

/** Drives a work with a function that runs statements at once. */
export function driveNow<T>(work: Work<T>, execute: (statement: Statement) => readonly Row[]): T {
  let step = work.next();
  while (step.done !== true) step = work.next(execute(step.value));
  return step.value;
}

/** Drives a work with a function that runs statements in their own time. */
export async function drive<T>(work: Work<T>, execute: (statement: Statement) => Promise<readonly Row[]>): Promise<T> {
  let step = work.next();
  while (step.done !== true) step = work.next(await execute(step.value));
  return step.value;
}
