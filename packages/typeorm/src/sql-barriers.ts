import type { Arrival, ArrivalAnswer, Barrier, BarrierStore } from '@taskqueue/core';
import { eachInOrder } from './sql/each-in-order.js';
import type { SqlStore, Work } from './sql/sql-store.js';
import { Sweep } from './sql/sweep.js';

/** A barrier is a row, and so is each member that has arrived. The barrier's row is locked first, by everybody. */
export class SqlBarriers implements BarrierStore {
  constructor(
    private readonly store: SqlStore,
    private readonly sweep = new Sweep(),
  ) {}

  async open(barriers: readonly Barrier[]): Promise<void> {
    if (barriers.length > 0) await this.store.run(() => this.openAll(barriers));
  }

  async arrive(arrivals: readonly Arrival[]): Promise<readonly (ArrivalAnswer | undefined)[]> {
    if (arrivals.length === 0) return [];
    return this.store.run(() => eachInOrder(arrivals, idOf, (arrival) => this.arriveOne(arrival)));
  }

  async discard(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.store.run(() => this.remove(ids));
  }

  private *openAll(barriers: readonly Barrier[]): Work<void> {
    yield* eachInOrder(barriers, idOf, (barrier) => this.openOne(barrier));
    yield* this.removeExpired();
  }

  private *openOne({ id, size, ttlMs, body }: Barrier): Work<void> {
    const { dialect } = this.store;
    const table = dialect.table('barrier');
    const expired = yield {
      sql: `select id from ${table} where id = $1 and expires_at <= ${dialect.now} ${dialect.forUpdate}`,
      params: [id],
    };
    if (expired.length > 0) yield* this.remove([id]);
    yield {
      sql: `insert into ${table} (id, size, ttl_ms, expires_at, body)
        values ($1, $2, $3, ${dialect.now} + $4, $5) on conflict (id) do nothing`,
      params: [id, size, Math.ceil(ttlMs), Math.ceil(ttlMs), Buffer.from(body).toString('base64')],
    };
  }

  private *arriveOne({ id, memberId }: Arrival): Work<ArrivalAnswer | undefined> {
    const { dialect } = this.store;
    const table = dialect.table('barrier');
    const found = yield {
      sql: `select id from ${table} where id = $1 and expires_at > ${dialect.now} ${dialect.forUpdate}`,
      params: [id],
    };
    if (found.length === 0) return undefined;
    const fresh = yield {
      sql: `insert into ${dialect.table('barrier_member')} (barrier_id, member_id) values ($1, $2)
        on conflict (barrier_id, member_id) do nothing returning member_id`,
      params: [id, memberId],
    };
    const [row] = yield {
      sql: `update ${table} set expires_at = ${dialect.now} + ttl_ms, arrived = arrived + $3,
          completed_by = case when arrived + $3 = size and completed_by is null then cast($2 as text) else completed_by end
        where id = $1
        returning size, arrived, case when completed_by = cast($2 as text) then body end as body`,
      params: [id, memberId, fresh.length],
    };
    const [size, arrived, body] = [Number(row?.['size']), Number(row?.['arrived']), row?.['body']];
    return typeof body === 'string'
      ? { completed: true, arrived, size, body: Buffer.from(body, 'base64') }
      : { completed: false, arrived, size };
  }

  private *remove(ids: readonly string[]): Work<void> {
    const { dialect } = this.store;
    yield { sql: `delete from ${dialect.table('barrier')} where ${dialect.anyOf('id', '$1')}`, params: [ids] };
    yield {
      sql: `delete from ${dialect.table('barrier_member')} where ${dialect.anyOf('barrier_id', '$1')}`,
      params: [ids],
    };
  }

  private *removeExpired(): Work<void> {
    if (!this.sweep.isDue()) return;
    const { dialect } = this.store;
    const rows = yield {
      sql: `select id from ${dialect.table('barrier')} where expires_at <= ${dialect.now}
        order by expires_at limit ${this.sweep.limit} ${dialect.forUpdateSkipLocked}`,
    };
    if (rows.length > 0) yield* this.remove(rows.map((row) => row['id'] as string));
  }
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}
