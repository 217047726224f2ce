import type { ExchangeReply, ExchangeRequest } from '../broker/exchange.js';
import { inOrder } from '../broker/exchange.js';
import type { Dialect, TableName } from '../sql/dialect.js';
import { TABLE_PREFIX } from '../sql/dialect.js';
import type { MessageColumns } from '../sql/message-row.js';
import { rankedRow } from '../sql/message-row.js';
import type { ResultColumns } from '../sql/result-row.js';
import { instant } from '../sql/result-row.js';
import type { Row, Work } from '../sql/sql-store.js';
import { textTable } from '../sql/text-table.js';
import { CHANGES_PARAMETER, PUBLISH_PARAMETER, PUT_PARAMETER } from './postgres-functions.js';

/** PostgreSQL: one function call for each hot step; see postgres-functions.ts. */
export class PostgresDialect implements Dialect {
  readonly name = 'postgres';
  readonly now: string;
  readonly forUpdate = 'for update';
  readonly forUpdateSkipLocked = 'for update skip locked';
  private readonly prefix: string;
  private readonly exchangeSql: string;

  /** `schema` is a bare name. */
  constructor(schema: string) {
    this.prefix = schemaPrefix(schema);
    this.now = `${this.call('now_v1')}()`;
    this.exchangeSql = `select * from ${this.call('exchange_v1')}($1::bigint, $2::bigint[], $3::integer[], $4::text,
      $5::text, $6::integer, $7::text, $8::boolean, $9::text[], $10::smallint[], $11::bigint[],
      $12::integer, $13::integer)`;
  }

  table(name: TableName): string {
    return `${this.prefix}"${TABLE_PREFIX}${name}"`;
  }

  anyOf(column: string, parameter: string): string {
    return `${column} = any(${parameter})`;
  }

  *publish(messages: readonly MessageColumns[], announce: boolean): Work<Set<string>> {
    const sql = `select ${this.call('publish_v1')}($1::text, $2::integer, $3::boolean, null) as accepted`;
    const [row] = yield { sql, params: [textTable(messages, PUBLISH_PARAMETER), messages.length, announce] };
    // All of them, as nearly always, is not spelled out.
    return new Set((row?.['accepted'] as string[] | null) ?? messages.map((message) => message.task_id));
  }

  *put(records: readonly ResultColumns[]): Work<readonly boolean[]> {
    const { rounds, count } = inRounds(records);
    const sql = `select stored, in_round from ${this.call('put_v1')}($1::text, $2::integer, null)`;
    const rows = yield { sql, params: [textTable(rounds, PUT_PARAMETER), count] };
    const stored = new Set(rows.map((row) => `${Number(row['in_round'])} ${row['stored'] as string}`));
    return rounds.map((record) => stored.has(`${record.round} ${record.task_id}`));
  }

  *exchange(request: ExchangeRequest): Work<ExchangeReply> {
    const { acks, changes, messages } = request;
    const { rounds, count } = inRounds(request.results);
    const params = [
      request.consumer,
      acks.map((ack) => ack.id),
      acks.map((ack) => ack.run),
      textTable(changes, CHANGES_PARAMETER),
      textTable(rounds, PUT_PARAMETER),
      count,
      textTable(messages, PUBLISH_PARAMETER),
      soon(messages) || soon(changes),
      request.queues,
      request.places.map((place) => place.urgency),
      request.places.map((place) => place.id),
      request.want,
      request.suspects,
    ];
    return exchangeReply(yield { sql: this.exchangeSql, params }, request.queues);
  }

  *promote(limit: number): Work<{ readonly promoted: number; readonly nextInMs: number | undefined }> {
    const [row] = yield { sql: `select * from ${this.call('promote_v1')}($1::integer)`, params: [limit] };
    return { promoted: Number(row?.['promoted'] ?? 0), nextInMs: instant(row?.['next_in_ms']) };
  }

  *announce(): Work<void> {
    yield { sql: `select ${this.call('ring_v1')}(true)` };
  }

  *lock(name: TableName): Work<void> {
    yield { sql: `lock table ${this.table(name)} in share row exclusive mode` };
  }

  private call(name: string): string {
    return `${this.prefix}${TABLE_PREFIX}${name}`;
  }
}

/** The schema as a prefix of names, quoted, with its dot. */
export function schemaPrefix(schema: string): string {
  return `"${schema.replaceAll('"', '""')}".`;
}

/** The channel on which consumers of a schema are woken. A channel is a name of the database, hence the schema in it. */
export function channelOf(schema: string): string {
  return `taskqueue_${schema}`.replaceAll(/[^a-zA-Z0-9_]/g, '_').slice(0, 63);
}

/**
 * A message that falls due within this time is announced, because sleeping consumers look for the next due instant
 * only about once a second.
 */
export const SOON_MS = 2_500;

/** Is there a message that falls due before others look for it? */
export function soon(messages: readonly object[]): boolean {
  return messages.some((message) => {
    const { due, delay } = message as { due?: number | null; delay?: number | null };
    const inMs = delay ?? (due === null || due === undefined ? 0 : due - Date.now());
    return inMs > 0 && inMs < SOON_MS;
  });
}

/** Numbers the records of each id. */
function inRounds<R extends ResultColumns>(
  records: readonly R[],
): { rounds: (R & { round: number })[]; count: number } {
  const seen = new Map<string, number>();
  let count = 0;
  const rounds = records.map((record) => {
    const round = seen.get(record.task_id) ?? 0;
    seen.set(record.task_id, round + 1);
    count = Math.max(count, round + 1);
    return { ...record, round };
  });
  return { rounds, count };
}

function exchangeReply(rows: readonly Row[], queues: readonly string[]): ExchangeReply {
  const lost = new Set<number>();
  const claimed = [];
  let gone = false;
  for (const row of rows) {
    if (row['kind'] === 1) claimed.push(rankedRow(row));
    else if (row['kind'] === 0) lost.add(Number(row['id']));
    else gone = true;
  }
  return { lost, claimed: inOrder(claimed, queues), gone };
}
