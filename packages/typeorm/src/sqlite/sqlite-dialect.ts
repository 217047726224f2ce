import type { ChangeColumns, ExchangeReply, ExchangeRequest, Fence, RankedRow } from '../broker/exchange.js';
import { inOrder } from '../broker/exchange.js';
import type { Dialect, TableName } from '../sql/dialect.js';
import { MESSAGE_STATE, TABLE_PREFIX } from '../sql/dialect.js';
import type { MessageColumns } from '../sql/message-row.js';
import type { ResultColumns } from '../sql/result-row.js';
import { KEPT_COLUMNS, RESULT_COLUMNS, TERMINAL_RANK } from '../sql/result-row.js';
import type { ArrayRow, Row, Work } from '../sql/sql-store.js';

const table = (name: TableName): string => `"${TABLE_PREFIX}${name}"`;
const NOW = `cast((julianday('now') - 2440587.5) * 86400000 as integer)`;
const { ready, suspect, delayed, dead } = MESSAGE_STATE;

const INSERT = `insert into ${table('message')} (task_id, task, queue, urgency, due_at, state, enqueued_at, envelope, body)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (task_id) do nothing`;

const FENCE = `id = $1 and run = $2 and consumer <> 0`;
const ACK = `delete from ${table('message')} where id in (select value from json_each($2)) and run = $1 and consumer <> 0`;
const RELEASE = `update ${table('message')} set consumer = 0 where ${FENCE} returning id`;
const DEAD = `update ${table('message')} set consumer = 0, state = ${dead}, reason = $3, died_at = ${NOW} where ${FENCE} returning id`;
const NEXT_DUE = `case when $7 is null then $6 else ${NOW} + $7 end`;
const REPLACE = `update ${table('message')} set consumer = 0, lost_leases = 0, task = $3, queue = $4, urgency = $5,
  due_at = ${NEXT_DUE}, state = case when ${NEXT_DUE} > ${NOW} then ${delayed} else ${ready} end, envelope = $8, body = $9
  where ${FENCE} returning id`;

const CLAIM = `update ${table('message')} set consumer = $1, run = run + 1 where id in (
    select id from ${table('message')} where queue = $2 and state = $3 and consumer = 0 order by urgency, id limit $4)
  returning id, task_id, task, run, lost_leases, urgency, enqueued_at, envelope, body`;
const RENEW = `update ${table('consumer')} set lease_until = max(lease_until, ${NOW} + $2) where id = $1`;
const PAUSED = `select name from ${table('queue')} where paused and name in (select value from json_each($1))`;

const PROMOTE = `update ${table('message')} set state = ${ready} where id in (
    select id from ${table('message')} where state = ${delayed} and due_at <= ${NOW} order by due_at limit $1) returning id`;
const NEXT = `select due_at - ${NOW} as ms from ${table('message')} where state = ${delayed} order by due_at limit 1`;

const PUT = `insert into ${table('result')} as r (${RESULT_COLUMNS.join(', ')})
  values (${RESULT_COLUMNS.map((_column, index) => `$${index + 1}`).join(', ')})
  on conflict (task_id) do update set ${RESULT_COLUMNS.filter((column) => column !== 'task_id')
    .map(
      (column) =>
        `${column} = ${KEPT_COLUMNS.has(column) ? `coalesce(excluded.${column}, r.${column})` : `excluded.${column}`}`,
    )
    .join(', ')}
  where r.state_rank < ${TERMINAL_RANK} and (excluded.run > r.run or (excluded.run = r.run and excluded.state_rank >= r.state_rank))
  returning task_id`;

/** SQLite: plain statements, one transaction around them; writers are alone, so nothing needs a lock. */
export const sqliteDialect: Dialect = {
  name: 'sqlite',
  table,
  now: NOW,
  anyOf: (column, parameter) => `${column} in (select value from json_each(${parameter}))`,
  forUpdate: '',
  forUpdateSkipLocked: '',

  *publish(messages): Work<Set<string>> {
    const accepted = new Set<string>();
    const now = yield* clock();
    for (const message of messages) if (yield* insert(message, now)) accepted.add(message.task_id);
    return accepted;
  },

  *put(records): Work<readonly boolean[]> {
    const stored: boolean[] = [];
    for (const record of records) stored.push((yield* put(record)).length > 0);
    return stored;
  },

  *exchange(request): Work<ExchangeReply> {
    const lost = yield* settle(request);
    for (const record of request.results) if (!lost.has(record.owner)) yield* put(record);
    yield* follow(request.messages.filter((message) => !lost.has(message.owner)));
    if (request.want <= 0) return { lost, claimed: [], gone: false };
    const alive = yield { sql: `select 1 from ${table('consumer')} where id = $1`, params: [request.consumer] };
    if (alive.length === 0) return { lost, claimed: [], gone: true };
    const claimed = yield* claim(request);
    // Nobody can renew while this transaction holds the file, and its commit may take its time on a busy disk.
    if (claimed.length > 0) yield { sql: RENEW, params: [request.consumer, request.leaseMs] };
    return { lost, claimed, gone: false };
  },

  *promote(limit) {
    const promoted = (yield { sql: PROMOTE, params: [limit] }).length;
    const [next] = yield { sql: NEXT };
    return { promoted, nextInMs: next === undefined ? undefined : Number(next['ms']) };
  },

  // Other processes see that the file has changed; see SqliteWatch.
  *announce(): Work<void> {},

  *lock(): Work<void> {},
};

/** The database's own: the delays of all processes are counted by it. */
function* clock(): Work<number> {
  const [row] = yield { sql: `select ${NOW} as now` };
  return Number(row?.['now']);
}

function* follow(messages: readonly MessageColumns[]): Work<void> {
  if (messages.length === 0) return;
  const now = yield* clock();
  for (const message of messages) yield* insert(message, now);
}

/** False: there is one of this id. Its time is read once for all messages, since that took half of what writing one takes. */
function* insert(m: MessageColumns, now: number): Work<boolean> {
  const due = m.delay === null ? m.due : now + m.delay;
  const state = due !== null && due > now ? delayed : ready;
  const params = [m.task_id, m.task, m.queue, m.urgency, due, state, now, m.envelope, m.body];
  const [written] = yield { sql: INSERT, params, counts: true };
  return written?.['changes'] === 1;
}

function* put(record: ResultColumns): Work<readonly Row[]> {
  return yield { sql: PUT, params: RESULT_COLUMNS.map((column) => record[column]) };
}

function* settle(request: ExchangeRequest): Work<Set<number>> {
  const lost = new Set<number>();
  for (const [run, ids] of byRun(request.acks)) {
    for (const id of yield* acknowledge(run, ids)) lost.add(id);
  }
  for (const change of request.changes) {
    if ((yield* apply(change)).length === 0) lost.add(change.id);
  }
  return lost;
}

/** Answers the ids that were lost. Nearly always none is, and then none need be told apart, which saves a tenth of the time. */
function* acknowledge(run: number, ids: readonly number[]): Work<readonly number[]> {
  yield { sql: 'SAVEPOINT acknowledge' };
  const [deleted] = yield { sql: ACK, params: [run, ids], counts: true };
  let settled: ReadonlySet<number> | undefined;
  if (deleted?.['changes'] !== ids.length) {
    yield { sql: 'ROLLBACK TO acknowledge' };
    const rows = yield { sql: `${ACK} returning id`, params: [run, ids] };
    settled = new Set(rows.map((row) => Number(row['id'])));
  }
  yield { sql: 'RELEASE acknowledge' };
  return settled === undefined ? [] : ids.filter((id) => settled.has(id) === false);
}

/** Nearly all messages are in their first run, so these are one statement. */
function byRun(fences: readonly Fence[]): Map<number, number[]> {
  const ids = new Map<number, number[]>();
  for (const { id, run } of fences) {
    const same = ids.get(run);
    if (same === undefined) ids.set(run, [id]);
    else same.push(id);
  }
  return ids;
}

function* apply(change: ChangeColumns): Work<readonly Row[]> {
  const { id, run } = change;
  if (change.kind === 'release') return yield { sql: RELEASE, params: [id, run] };
  if (change.kind === 'dead') return yield { sql: DEAD, params: [id, run, change.reason] };
  const { task, queue, urgency, due, delay, envelope, body } = change;
  return yield { sql: REPLACE, params: [id, run, task, queue, urgency, due, delay, envelope, body] };
}

/** The columns that CLAIM returns, by their places: this runs for every message. */
function rankedRow(columns: ArrayRow, queue: string): RankedRow {
  const c = columns as unknown as ClaimedColumns;
  return {
    id: c[0],
    task_id: c[1],
    task: c[2],
    run: c[3],
    queue,
    urgency: c[5],
    lostLeases: c[4],
    enqueuedAt: c[6],
    envelope: c[7],
    body: c[8],
  };
}

type ClaimedColumns = [
  id: number,
  task_id: string,
  task: string,
  run: number,
  lostLeases: number,
  urgency: number,
  enqueuedAt: number,
  envelope: string,
  body: string,
];

function* claim(request: ExchangeRequest): Work<RankedRow[]> {
  const paused = yield { sql: PAUSED, params: [request.queues] };
  const closed = new Set(paused.map((row) => row['name']));
  const claimed: RankedRow[] = [];
  let suspects = request.suspects;
  for (const queue of request.queues) {
    if (closed.has(queue)) continue;
    for (const state of [suspect, ready]) {
      const left = request.want - claimed.length;
      const limit = state === suspect ? Math.min(left, suspects) : left;
      if (limit <= 0) continue;
      const rows = yield { sql: CLAIM, params: [request.consumer, queue, state, limit], arrays: true };
      if (state === suspect) suspects -= rows.length;
      for (const row of rows) claimed.push(rankedRow(row as ArrayRow, queue));
    }
  }
  return inOrder(claimed, request.queues);
}
