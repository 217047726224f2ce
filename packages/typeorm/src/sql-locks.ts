import type { LockAnswer, LockHolder, LockPermit, LockRenewal, LockRequest, LockStore } from '@taskqueue/core';
import { eachInOrder } from './sql/each-in-order.js';
import type { Row, SqlStore, SqlValue, Work } from './sql/sql-store.js';
import { Sweep } from './sql/sweep.js';

/**
 * Permits as rows of one table; the number of a row is the token. A row that has expired counts as gone, and goes when its
 * key is asked for again, or with the next sweep.
 */
export class SqlLocks implements LockStore {
  constructor(
    private readonly store: SqlStore,
    private readonly sweep = new Sweep(),
  ) {}

  async acquire(requests: readonly LockRequest[]): Promise<readonly LockAnswer[]> {
    return requests.length === 0 ? [] : this.store.run(() => this.acquireAll(requests));
  }

  async renew(renewals: readonly LockRenewal[]): Promise<readonly ('renewed' | 'lost')[]> {
    const { dialect } = this.store;
    const done = await this.change(renewals, ({ ttlMs }, where) => ({
      sql: `update ${dialect.table('lock')} set expires_at = ${dialect.now} + $4 ${where} returning token`,
      params: [Math.ceil(ttlMs)],
    }));
    return done.map((one) => (one ? 'renewed' : 'lost'));
  }

  async release(permits: readonly LockPermit[]): Promise<readonly ('released' | 'lost')[]> {
    const { dialect } = this.store;
    const done = await this.change(permits, (_permit, where) => ({
      sql: `delete from ${dialect.table('lock')} ${where} returning token`,
      params: [],
    }));
    return done.map((one) => (one ? 'released' : 'lost'));
  }

  async holders(key: string): Promise<readonly LockHolder[]> {
    const rows = await this.store.once(() => this.select(key, 'token'));
    return rows.map(holder);
  }

  private *acquireAll(requests: readonly LockRequest[]): Work<LockAnswer[]> {
    yield* this.takeTurns(requests);
    const answers: LockAnswer[] = [];
    for (const request of requests) answers.push(yield* this.acquireOne(request));
    yield* this.removeExpired();
    return answers;
  }

  /** Two that count the holders of a key at once would both find room. SQLite has one writer at a time anyway. */
  private *takeTurns(requests: readonly LockRequest[]): Work<void> {
    const { dialect } = this.store;
    if (dialect.name !== 'postgres') return;
    yield {
      // Locks of the transaction, in one order everywhere; what else may have the same number merely waits.
      sql: `select pg_advisory_xact_lock(number) from (
        select distinct hashtextextended($1 || name, 0) as number from unnest($2::text[]) as name order by number) as keys`,
      params: [dialect.table('lock'), requests.map((request) => request.key)],
    };
  }

  private *acquireOne({ key, owner, permits, ttlMs }: LockRequest): Work<LockAnswer> {
    const { dialect } = this.store;
    const table = dialect.table('lock');
    const limit = Math.max(1, Math.trunc(permits));
    for (;;) {
      yield { sql: `delete from ${table} where lock_key = $1 and expires_at <= ${dialect.now}`, params: [key] };
      const [granted] = yield {
        sql: `insert into ${table} (lock_key, owner, expires_at)
          select cast($1 as text), cast($2 as text), ${dialect.now} + $4
          where (select count(*) from ${table} where lock_key = cast($1 as text)) < $3
            or exists (select 1 from ${table} where lock_key = cast($1 as text) and owner = cast($2 as text))
          on conflict (lock_key, owner) do update set expires_at = excluded.expires_at
          returning token`,
        params: [key, owner, limit, Math.ceil(ttlMs)],
      };
      if (granted !== undefined) return { status: 'acquired', token: Number(granted['token']) };
      const holders = yield* this.select(key, 'expires_at');
      // As many must end as are too many by then, us included.
      const inTheWay = holders[holders.length - limit];
      if (inTheWay !== undefined) return { status: 'held', holder: holder(inTheWay) };
      // Somebody has let go meanwhile, or a permit has just ended.
    }
  }

  private *select(key: string, order: 'token' | 'expires_at'): Work<readonly Row[]> {
    const { dialect } = this.store;
    return yield {
      sql: `select owner, token, expires_at - ${dialect.now} as ms from ${dialect.table('lock')}
        where lock_key = $1 and expires_at > ${dialect.now} order by ${order}, token`,
      params: [key],
    };
  }

  private async change<P extends LockPermit>(
    permits: readonly P[],
    statementFor: (permit: P, where: string) => { readonly sql: string; readonly params: readonly SqlValue[] },
  ): Promise<readonly boolean[]> {
    const { dialect } = this.store;
    const where = `where token = $1 and lock_key = $2 and owner = $3 and expires_at > ${dialect.now}`;
    function* one(permit: P): Work<boolean> {
      const { sql, params } = statementFor(permit, where);
      return (yield { sql, params: [permit.token, permit.key, permit.owner, ...params] }).length > 0;
    }
    const all = (): Work<readonly boolean[]> => eachInOrder(permits, (permit) => permit.token, one);
    if (permits.length === 0) return [];
    return permits.length === 1 ? this.store.once(all) : this.store.run(all);
  }

  /** Keys that nobody asks for again. */
  private *removeExpired(): Work<void> {
    if (!this.sweep.isDue()) return;
    const { dialect } = this.store;
    const table = dialect.table('lock');
    yield {
      sql: `delete from ${table} where token in (
        select token from ${table} where expires_at < ${dialect.now} order by expires_at limit ${this.sweep.limit}
        ${dialect.forUpdateSkipLocked})`,
    };
  }
}

function holder(row: Row): LockHolder {
  return {
    owner: row['owner'] as string,
    token: Number(row['token']),
    expiresInMs: Math.max(1, Number(row['ms'])),
  };
}
