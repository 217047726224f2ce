import type { Delivery, ExtendOutcome, Subscription } from '@taskqueue/core';
import type { SqlStore, Work } from '../sql/sql-store.js';
import { statement } from '../sql/sql-store.js';
import type { Fence } from './exchange.js';

/**
 * A consumer's row in the database, under which it holds leases. A message is leased while it names a consumer; a
 * consumer is alive while its row's `lease_until` lies in the future by the database's clock.
 *
 * ```text
 *   NONE ──register──► ALIVE ──extend──► ALIVE
 *     ▲                  │ ├──move (a call's fate is unknown)──► ALIVE under a new row; the old one is deleted, so
 *     │                  │ │                                     that a call still under way can claim nothing
 *     └──lease ran out───┘ └──resign──► NONE
 * ```
 */
export class Lease {
  private registered: Promise<number> | undefined;
  private id = 0;
  private idle = false;

  constructor(
    private readonly store: SqlStore,
    private readonly subscription: Subscription,
  ) {}

  /** Id of the row; 0 while there is none. */
  get current(): number {
    return this.id;
  }

  /** The id of our row, made when there is none. */
  register(): Promise<number> {
    this.registered ??= this.store
      .once(() => this.insert())
      .then(
        (id) => (this.id = id),
        (error: unknown) => {
          this.registered = undefined;
          throw error;
        },
      );
    return this.registered;
  }

  /** Our row is gone: our leases ran out, and somebody gave the messages back. */
  forget(id: number): void {
    if (this.id !== id) return;
    this.registered = undefined;
    this.id = 0;
    this.idle = false;
  }

  /**
   * Says in our row whether we sleep: publishers announce what they bring only when somebody does. True when the row
   * says something new now.
   */
  async sayIdle(idle: boolean): Promise<boolean> {
    const { dialect } = this.store;
    // SQLite's file is watched instead.
    if (this.idle === idle || this.id === 0 || dialect.name === 'sqlite') return false;
    this.idle = idle;
    const sql = `update ${dialect.table('consumer')} set idle = $2 where id = $1 returning id`;
    try {
      await this.store.once(() => statement(sql, [this.id, idle]));
    } catch (error) {
      this.idle = !idle;
      throw error;
    }
    return true;
  }

  /** Lives for `leaseMs` from now, and tells which deliveries are still ours. */
  async extend(deliveries: readonly Delivery[], leaseMs: number): Promise<readonly ExtendOutcome[]> {
    const id = this.id;
    const held = id === 0 ? undefined : await this.store.run(() => this.renew(id, deliveries, leaseMs));
    if (held === undefined) this.forget(id);
    return deliveries.map(({ receipt }) => {
      const { id: row, run } = receipt as Fence;
      return held?.get(row) === run ? 'extended' : 'lost';
    });
  }

  /**
   * After a call whose fate is unknown: takes what we know that we hold under a new row, and gives back what the lost
   * answer may have leased to us.
   */
  async move(held: readonly Fence[]): Promise<void> {
    const old = this.id;
    if (old === 0) return;
    const id = await this.store.run(() => this.moveTo(old, held));
    this.id = id;
    this.idle = false;
    this.registered = Promise.resolve(id);
  }

  /** Gives everything back, uncounted as lost. */
  async resign(held: readonly Fence[]): Promise<void> {
    const id = this.id;
    if (id === 0) return;
    this.forget(id);
    await this.store.run(() => this.giveBack(id, held));
  }

  private *insert(): Work<number> {
    const { dialect } = this.store;
    const [row] = yield {
      sql: `insert into ${dialect.table('consumer')} (name, lease_until, idle)
        values ($1, ${dialect.now} + $2, false) returning id`,
      params: [this.subscription.consumerId, Math.ceil(this.subscription.leaseMs)],
    };
    return Number(row?.['id']);
  }

  private *renew(id: number, deliveries: readonly Delivery[], leaseMs: number): Work<Map<number, number> | undefined> {
    const { dialect } = this.store;
    const rows = yield {
      sql: `update ${dialect.table('consumer')} set lease_until = ${dialect.now} + $2 where id = $1 returning id`,
      params: [id, Math.ceil(leaseMs)],
    };
    if (rows.length === 0) return undefined;
    const messages = yield {
      sql: `select id, run from ${dialect.table('message')} where consumer = $1 and ${dialect.anyOf('id', '$2')}`,
      params: [id, deliveries.map(({ receipt }) => (receipt as Fence).id)],
    };
    return new Map(messages.map((row) => [Number(row['id']), Number(row['run'])]));
  }

  private *moveTo(old: number, held: readonly Fence[]): Work<number> {
    const { dialect } = this.store;
    const message = dialect.table('message');
    const id = yield* this.insert();
    // Waits for a claim that is still under way, and is seen by one that comes later.
    yield { sql: `delete from ${dialect.table('consumer')} where id = $1`, params: [old] };
    yield {
      sql: `update ${message} set consumer = $1 where consumer = $2 and ${dialect.anyOf('id', '$3')}`,
      params: [id, old, held.map((fence) => fence.id)],
    };
    yield { sql: `update ${message} set consumer = 0 where consumer = $1`, params: [old] };
    yield* dialect.announce();
    return id;
  }

  private *giveBack(id: number, held: readonly Fence[]): Work<void> {
    const { dialect } = this.store;
    yield { sql: `delete from ${dialect.table('consumer')} where id = $1`, params: [id] };
    yield {
      sql: `update ${dialect.table('message')} set consumer = 0 where consumer = $1 and ${dialect.anyOf('id', '$2')}`,
      params: [id, held.map((fence) => fence.id)],
    };
    yield* dialect.announce();
  }
}
