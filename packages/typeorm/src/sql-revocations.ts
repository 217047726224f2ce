import type { Revocation, RevocationStore } from '@taskqueue/core';
import { revokedRecord } from '@taskqueue/core';
import { MESSAGE_STATE } from './sql/dialect.js';
import { resultColumns } from './sql/result-row.js';
import type { Row, SqlStore, Work } from './sql/sql-store.js';

/** Revoked ids as rows, numbered in the order in which they become visible. */
export class SqlRevocations implements RevocationStore {
  constructor(private readonly store: SqlStore) {}

  async revoke(revocations: readonly Revocation[]): Promise<readonly string[]> {
    return revocations.length === 0 ? [] : this.store.run(() => this.remember(revocations));
  }

  since(marker: string | undefined): Promise<{ readonly revocations: readonly Revocation[]; readonly marker: string }> {
    return this.store.once(() => this.news(marker));
  }

  private *remember(revocations: readonly Revocation[]): Work<readonly string[]> {
    const { dialect } = this.store;
    // Numbers are given before the commit; without the lock a reader could see 11 before 10, and never ask for 10 again.
    yield* dialect.lock('revoked');
    for (const { taskId, terminate, expiresAt } of revocations) {
      yield {
        sql: `insert into ${dialect.table('revoked')} (task_id, terminate, expires_at) values ($1, $2, $3)`,
        params: [taskId, terminate, Math.round(expiresAt)],
      };
    }
    return yield* this.takeOut(new Map(revocations.map(({ taskId, expiresAt }) => [taskId, Math.round(expiresAt)])));
  }

  /** The records live as long as the revocations; a task that ignores its result leaves none. */
  private *takeOut(expiries: ReadonlyMap<string, number>): Work<readonly string[]> {
    const { dialect } = this.store;
    const rows = yield {
      sql: `delete from ${dialect.table('message')} where ${dialect.anyOf('task_id', '$1')}
        and consumer = 0 and state <> ${MESSAGE_STATE.dead}
        returning task_id, task, queue, run, enqueued_at, envelope, ${dialect.now} as now`,
      params: [[...expiries.keys()]],
    };
    if (rows.length === 0) return [];
    const records = rows.filter(keepsResult).map((row) => ({
      ...revokedRecord({
        taskId: row['task_id'] as string,
        name: row['task'] as string,
        queue: row['queue'] as string,
        run: Number(row['run']),
        doneAt: Number(row['now']),
      }),
      createdAt: Number(row['enqueued_at']),
      ...expiry(expiries.get(row['task_id'] as string)),
    }));
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

function keepsResult(row: Row): boolean {
  const { headers } = JSON.parse(row['envelope'] as string) as { headers: Readonly<Record<string, unknown>> };
  return headers['ignore_result'] !== true;
}

function expiry(expiresAt: number | undefined): { readonly expiresAt?: number } {
  return expiresAt === undefined ? {} : { expiresAt };
}
