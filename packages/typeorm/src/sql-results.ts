import type { ResultBackend, ResultPage, ResultQuery, ResultRecord, TaskState } from '@taskqueue/core';
import { checkListLimit, TASK_STATES, unknownCursor } from '@taskqueue/core';
import { MESSAGE_STATE } from './sql/dialect.js';
import { resultColumns, resultRecord } from './sql/result-row.js';
import type { Row, SqlStore, SqlValue, Work } from './sql/sql-store.js';
import { statement } from './sql/sql-store.js';

/** Records removed by one call of `cleanUp`, at most so many at a time. */
const CLEAN_UP_BATCH = 1_000;
const CLEAN_UP_BATCHES = 20;
/** Records written by one statement. */
const PUT_BATCH = 500;

/**
 * Result records as rows. A task that waits in the broker of the same database and has no record yet is answered as
 * PENDING from its message, so that enqueueing writes one row and not two.
 */
export class SqlResults implements ResultBackend {
  constructor(private readonly store: SqlStore) {}

  async put(records: readonly ResultRecord[]): Promise<readonly ('stored' | 'superseded')[]> {
    const answers: ('stored' | 'superseded')[] = [];
    for (let start = 0; start < records.length; start += PUT_BATCH) {
      const batch = records.slice(start, start + PUT_BATCH).map(resultColumns);
      const stored = await this.store.once(() => this.store.dialect.put(batch));
      answers.push(...stored.map((one) => (one ? ('stored' as const) : ('superseded' as const))));
    }
    return answers;
  }

  async get(taskIds: readonly string[]): Promise<readonly (ResultRecord | undefined)[]> {
    if (taskIds.length === 0) return [];
    const found = new Map<string, ResultRecord>();
    const add = (rows: readonly Row[], read: (row: Row) => ResultRecord): void => {
      for (const row of rows) found.set(row['task_id'] as string, read(row));
    };
    add(await this.store.once(() => this.records(taskIds)), resultRecord);
    const missing = taskIds.filter((id) => !found.has(id));
    if (missing.length > 0) {
      add(await this.store.once(() => this.waiting(missing)), pendingRecord);
      // One that ended between the two looks has a record by now.
      const ended = missing.filter((id) => !found.has(id));
      if (ended.length > 0) add(await this.store.once(() => this.records(ended)), resultRecord);
    }
    return taskIds.map((id) => found.get(id));
  }

  async forget(taskIds: readonly string[]): Promise<void> {
    if (taskIds.length === 0) return;
    const { dialect } = this.store;
    const sql = `delete from ${dialect.table('result')} where ${dialect.anyOf('task_id', '$1')}`;
    await this.store.once(() => statement(sql, [taskIds]));
  }

  async list(query: ResultQuery): Promise<ResultPage> {
    checkListLimit(query.limit);
    const position = parseCursor(query.cursor);
    const rows = await this.store.once(() => this.recordPage(query, position));
    const recorded = rows.map(resultRecord);
    const pending = wants(query, 'PENDING') ? await this.store.once(() => this.pendingPage(query, position)) : [];
    return page(query.limit, position, recorded, pending);
  }

  async cleanUp(): Promise<number> {
    const { dialect } = this.store;
    const result = dialect.table('result');
    const sql = `delete from ${result} where task_id in (
      select task_id from ${result} where expires_at <= ${dialect.now} order by expires_at limit ${CLEAN_UP_BATCH}) returning task_id`;
    const revoked = `delete from ${dialect.table('revoked')} where expires_at <= ${dialect.now}`;
    await this.store.once(() => statement(revoked));
    let removed = 0;
    for (let batch = 0; batch < CLEAN_UP_BATCHES; batch += 1) {
      const { length } = await this.store.once(() => statement(sql));
      removed += length;
      if (length < CLEAN_UP_BATCH) break;
    }
    return removed;
  }

  private records(taskIds: readonly string[]): Work<readonly Row[]> {
    const { dialect } = this.store;
    return statement(`select * from ${dialect.table('result')} where ${dialect.anyOf('task_id', '$1')}`, [taskIds]);
  }

  private waiting(taskIds: readonly string[]): Work<readonly Row[]> {
    const { dialect } = this.store;
    return statement(
      `select id, task_id, task, queue, enqueued_at from ${dialect.table('message')}
        where ${dialect.anyOf('task_id', '$1')} and state <> ${MESSAGE_STATE.dead}`,
      [taskIds],
    );
  }

  private recordPage(query: ResultQuery, position: Position): Work<readonly Row[]> {
    const { dialect } = this.store;
    const params: SqlValue[] = [query.limit + 1];
    const conditions: string[] = [];
    if (position.record !== undefined) {
      params.push(position.record.createdAt, position.record.taskId);
      conditions.push('(coalesce(date_created, 0), task_id) < ($2, $3)');
    }
    if (query.names !== undefined) {
      params.push(query.names);
      conditions.push(dialect.anyOf('task_name', `$${params.length}`));
    }
    // States are of a closed list, and as literals they let the database use its index of what did not succeed.
    if (query.states !== undefined) conditions.push(`status in (${literals(query.states)})`);
    const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
    return statement(
      `select * from ${dialect.table('result')} ${where}
        order by coalesce(date_created, 0) desc, task_id desc limit $1`,
      params,
    );
  }

  private pendingPage(query: ResultQuery, position: Position): Work<readonly Row[]> {
    const { dialect } = this.store;
    const params: SqlValue[] = [query.limit + 1, position.message ?? Number.MAX_SAFE_INTEGER];
    if (query.names !== undefined) params.push(query.names);
    return statement(
      `select m.id, m.task_id, m.task, m.queue, m.enqueued_at from ${dialect.table('message')} m
        where m.id < $2 and m.state <> ${MESSAGE_STATE.dead}
          ${query.names === undefined ? '' : `and ${dialect.anyOf('m.task', '$3')}`}
          and not exists (select 1 from ${dialect.table('result')} r where r.task_id = m.task_id)
        order by m.id desc limit $1`,
      params,
    );
  }
}

/** Where a page ended, in each of the two tables that a listing goes through. */
interface Position {
  readonly record?: { readonly createdAt: number; readonly taskId: string };
  readonly message?: number;
}

/** Merges the two tables, newest first. */
function page(limit: number, start: Position, records: readonly ResultRecord[], messages: readonly Row[]): ResultPage {
  const merged: ResultRecord[] = [];
  let [r, m] = [0, 0];
  while (merged.length < limit && (r < records.length || m < messages.length)) {
    const record = records[r];
    const message = messages[m];
    if (message === undefined || (record !== undefined && (record.createdAt ?? 0) > Number(message['enqueued_at']))) {
      merged.push(record as ResultRecord);
      r += 1;
    } else {
      merged.push(pendingRecord(message));
      m += 1;
    }
  }
  if (r >= records.length && m >= messages.length) return { records: merged };
  const lastRecord = r === 0 ? undefined : records[r - 1];
  const lastMessage = m === 0 ? undefined : messages[m - 1];
  const end: Position = {
    ...start,
    ...(lastRecord && { record: { createdAt: lastRecord.createdAt ?? 0, taskId: lastRecord.taskId } }),
    ...(lastMessage && { message: Number(lastMessage['id']) }),
  };
  return { records: merged, nextCursor: Buffer.from(JSON.stringify(end)).toString('base64url') };
}

function pendingRecord(row: Row): ResultRecord {
  return {
    taskId: row['task_id'] as string,
    state: 'PENDING',
    name: row['task'] as string,
    run: 0,
    attempts: 0,
    queue: row['queue'] as string,
    createdAt: Number(row['enqueued_at']),
  };
}

function wants(query: ResultQuery, state: TaskState): boolean {
  return query.states === undefined || query.states.includes(state);
}

function literals(states: readonly TaskState[]): string {
  const known = states.filter((state) => TASK_STATES.includes(state));
  return known.length === 0 ? `''` : known.map((state) => `'${state}'`).join(', ');
}

/** Throws UsageError for a cursor that is not one of ours. */
function parseCursor(cursor: string | undefined): Position {
  if (cursor === undefined) return {};
  try {
    const { record, message, ...rest } = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as Position;
    const isWhole = Object.keys(rest).length === 0 && (record !== undefined || message !== undefined);
    const isRecord = record === undefined || (isPlace(record.createdAt) && isTaskId(record.taskId));
    if (!isWhole || !isRecord || !(message === undefined || isPlace(message))) throw new Error('not ours');
    return { ...(record === undefined ? {} : { record }), ...(message === undefined ? {} : { message }) };
  } catch {
    throw unknownCursor(cursor);
  }
}

function isPlace(value: unknown): boolean {
  return Number.isSafeInteger(value);
}

function isTaskId(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 255 && !value.includes('\0');
}
