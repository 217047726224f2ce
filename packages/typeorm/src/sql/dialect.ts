import type { MessageColumns } from './message-row.js';
import type { ResultColumns } from './result-row.js';
import type { ChangeColumns } from '../broker/exchange.js';
import type { ExchangeReply, ExchangeRequest } from '../broker/exchange.js';
import type { Work } from './sql-store.js';

/** Our tables, without their prefix. */
export type TableName =
  | 'message'
  | 'queue'
  | 'consumer'
  | 'result'
  | 'group_result'
  | 'revoked'
  | 'interval_schedule'
  | 'crontab_schedule'
  | 'clocked_schedule'
  | 'solar_schedule'
  | 'periodic_task'
  | 'schedule_change'
  | 'lock'
  | 'barrier'
  | 'barrier_member'
  | 'publication'
  | 'migration';

export const TABLE_PREFIX = 'taskqueue_';

/** States of a message row. A leased row is one whose `consumer` is not 0; its state is that in which it was claimed. */
export const MESSAGE_STATE = { ready: 0, suspect: 1, delayed: 2, dead: 3 } as const;

/**
 * What differs between the databases. The hot steps are here as a whole, because PostgreSQL wants each in one round
 * trip (a function of the schema) and SQLite wants plain prepared statements.
 */
export interface Dialect {
  readonly name: 'postgres' | 'sqlite';
  /** Quoted name, with the schema where there is one. */
  table(name: TableName): string;
  /** Expression for the database's own time, epoch milliseconds. */
  readonly now: string;
  /** `column` is one of the values of an array parameter. */
  anyOf(column: string, parameter: string): string;
  /** Clause that locks the selected rows, or those of them that nobody has locked; empty where writers are alone. */
  readonly forUpdate: string;
  readonly forUpdateSkipLocked: string;
  /** Inserts messages; answers the ids that were inserted. `announce`: wake consumers even if none says it is idle. */
  publish(messages: readonly MessageColumns[], announce: boolean): Work<Set<string>>;
  /** Writes result records in order; answers for each whether it was stored. */
  put(records: readonly ResultColumns[]): Work<readonly boolean[]>;
  /** Ends leases with all their effects, and takes new ones. */
  exchange(request: ExchangeRequest): Work<ExchangeReply>;
  /** Makes due messages ready, at most `limit`. Answers how many, and milliseconds until the next one. */
  promote(limit: number): Work<{ readonly promoted: number; readonly nextInMs: number | undefined }>;
  /** Wakes the consumers of all processes when the transaction commits. */
  announce(): Work<void>;
  /** Locks a table against other writers until the transaction ends. */
  lock(table: TableName): Work<void>;
}

export type { ChangeColumns };
