import type { ResultRecord, Revocation, RevocationRequest, RevocationStore } from '@taskqueue/core';
import { revokedRecord } from '@taskqueue/core';
import { MESSAGE_STATE } from './sql/dialect.js';
import { resultColumns } from './sql/result-row.js';
import { readEnvelope } from './sql/envelope-text.js';
import type { Row, SqlStore, Work } from './sql/sql-store.js';

/** Revoked ids as rows, numbered in the order in which they become visible. */
export class SqlRevocations implements RevocationStore {
  constructor(private readonly store: SqlStore) {}

  async revoke(requests: readonly RevocationRequest[]): Promise<readonly string[]> {
    return requests.length === 0 ? [] : this.store.run(() => this.remember(requests));
  }

  since(marker: string | undefined): Promise<{ readonly revocations: readonly Revocation[]; readonly marker: string }> {
    return this.store.once(() => this.news(marker));
  }

  private *remember(requests: readonly RevocationRequest[]): Work<readonly string[]> {
    const { dialect } = this.store;
    // Numbers are given before the commit; without the lock a reader could see 11 before 10, and never ask for 10 again.
    yield* dialect.lock('revoked');
    for (const { taskId, terminate, expiresAt } of requests) {
      yield {
        sql: `insert into ${dialect.table('revoked')} (task_id, terminate, expires_at) values ($1, $2, $3)`,
        params: [taskId, terminate, Math.round(expiresAt)],
      };
    }
    const waiting = requests.filter((request) => request.waiting !== 'leave');
    return waiting.length === 0 ? [] : yield* this.takeOut(new Map(waiting.map((one) => [one.taskId, one])));
  }

  private *takeOut(requests: ReadonlyMap<string, RevocationRequest>): Work<readonly string[]> {
    const { dialect } = this.store;
    const rows = yield {
      sql: `delete from ${dialect.table('message')} where ${dialect.anyOf('task_id', '$1')}
        and consumer = 0 and state <> ${MESSAGE_STATE.dead}
        returning task_id, task, queue, run, enqueued_at, envelope, ${dialect.now} as now`,
      params: [[...requests.keys()]],
    };
    const records = rows.flatMap((row) => recordOf(row, requests.get(row['task_id'] as string)));
    if (records.length > 0) yield* dialect.put(records.map(resultColumns));
    return rows.map((row) => row['task_id'] as string);
  }

  private *news(marker: string | undefined): Work<{ revocations: readonly Revocation[]; marker: string }> {
    const { dialect } = this.store;
    const from = Number(marker ?? 0);
    const rows = yield {
      sql: `select id, task_id, terminate, expires_at, expires_at > ${dialect.now} as live
        from ${dialect.table('revoked')} where id > $1 order by id`,
      params: [from],
    };
    const last = rows.at(-1);
    return {
      revocations: rows
        .filter((row) => Boolean(row['live']))
        .map((row) => ({
          taskId: row['task_id'] as string,
          terminate: Boolean(row['terminate']),
          expiresAt: Number(row['expires_at']),
        })),
      marker: String(last === undefined ? from : Number(last['id'])),
    };
  }
}

/** What is kept of a task that was taken out: nothing where results are off, for all or for this one. */
function recordOf(row: Row, request: RevocationRequest | undefined): ResultRecord[] {
  if (request?.waiting !== 'record' || ignoresResult(row)) return [];
  const { recordExpiresAt } = request;
  const revoked = revokedRecord({
    taskId: request.taskId,
    name: row['task'] as string,
    queue: row['queue'] as string,
    run: Number(row['run']),
    doneAt: Number(row['now']),
  });
  return [
    {
      ...revoked,
      createdAt: Number(row['enqueued_at']),
      ...(recordExpiresAt === undefined ? {} : { expiresAt: Math.round(recordExpiresAt) }),
    },
  ];
}

function ignoresResult(row: Row): boolean {
  const named = { task_id: row['task_id'] as string, task: row['task'] as string };
  return readEnvelope(row['envelope'] as string, named).headers['ignore_result'] === true;
}
