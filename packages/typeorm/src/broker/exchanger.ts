import type { Deferred, Delivery, SettleOutcome, Settlement, Subscription } from '@taskqueue/core';
import { deferred } from '@taskqueue/core';
import { isFateUnknown } from '../postgres/postgres-store.js';
import type { SqlStore } from '../sql/sql-store.js';
import type { ClaimedRow, ExchangeReply, Fence } from './exchange.js';
import { Frontier } from './frontier.js';
import type { Lease } from './lease.js';
import type { SettlementColumns } from './settlement-columns.js';
import { joined, settlementColumns } from './settlement-columns.js';

export interface ExchangerOptions {
  readonly store: SqlStore;
  readonly lease: Lease;
  readonly subscription: Subscription;
}

interface PendingSettle {
  readonly settlements: readonly Settlement[];
  readonly outcomes: Deferred<readonly SettleOutcome[]>;
}

/** A settle call on its way: what of it is sent. */
interface SentSettle extends PendingSettle {
  readonly columns: SettlementColumns;
  readonly sent: ReadonlySet<Settlement>;
}

interface PendingClaim {
  readonly max: number;
  readonly queues: readonly string[];
  readonly rows: Deferred<readonly ClaimedRow[]>;
}

/**
 * Folds what is settled and what is wanted into calls that do both: what comes within a tick goes together, and what
 * comes while the calls under way are at their limit goes with the next one. One claim is under way at a time.
 *
 * It also knows what this consumer holds: a call whose answer was lost may have leased messages to us that we never
 * saw, and before the next claim they are given back by what we know (see Lease.move).
 */
export class Exchanger {
  private settles: PendingSettle[] = [];
  private claims: PendingClaim[] = [];
  private readonly holding = new Map<number, ClaimedRow>();
  private calls = 0;
  private claiming = false;
  private scheduled = false;
  private answerLost = false;
  private quiet: Deferred<void> | undefined;
  private readonly frontier = new Frontier();

  constructor(private readonly options: ExchangerOptions) {}

  /** What was claimed and neither settled nor lost. */
  get held(): readonly Fence[] {
    return [...this.holding.values()];
  }

  settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const outcomes = deferred<readonly SettleOutcome[]>();
    this.settles.push({ settlements, outcomes });
    this.schedule();
    return outcomes.promise;
  }

  /** At most `max` messages, leased to us. Default: from the subscription's queues. */
  claim(max: number, queues = this.options.subscription.queues): Promise<readonly ClaimedRow[]> {
    const rows = deferred<readonly ClaimedRow[]>();
    this.claims.push({ max, queues, rows });
    this.schedule();
    return rows.promise;
  }

  /** Something has become ready that may stand before what was taken last. */
  lookFromTheBeginning(): void {
    this.frontier.reset();
  }

  /** Somebody else has it, or may take it. */
  drop(delivery: Delivery): void {
    if (this.holds(delivery)) this.holding.delete((delivery.receipt as Fence).id);
  }

  /** Resolves when no call is under way or about to be. */
  async settled(): Promise<void> {
    while (this.calls > 0 || this.scheduled) {
      this.quiet ??= deferred();
      await this.quiet.promise;
    }
  }

  private holds(delivery: Delivery): boolean {
    const { id, run } = delivery.receipt as Fence;
    return this.holding.get(id)?.run === run;
  }

  private schedule(): void {
    // SQLite has one writer; PostgreSQL can work on one call while another is on its way.
    const limit = this.options.store.dialect.name === 'postgres' ? 2 : 1;
    if (this.scheduled || this.calls >= limit) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      void this.flush();
    });
  }

  private async flush(): Promise<void> {
    const settles = this.prepare(this.settles.splice(0));
    const claim = this.claiming ? undefined : this.claims.shift();
    if (settles.length > 0 || claim !== undefined) {
      this.calls += 1;
      if (claim !== undefined) this.claiming = true;
      try {
        await this.call(settles, claim);
      } catch (error) {
        for (const one of settles) one.outcomes.reject(error);
        claim?.rows.reject(error);
      } finally {
        this.calls -= 1;
        if (claim !== undefined) this.claiming = false;
      }
      if (this.settles.length > 0 || (this.claims.length > 0 && !this.claiming)) this.schedule();
    }
    if (this.calls > 0 || this.scheduled) return;
    this.quiet?.resolve();
    this.quiet = undefined;
  }

  /** Leaves out what we do not hold any more, and what is settled twice at once. A settle that cannot be sent fails alone. */
  private prepare(settles: readonly PendingSettle[]): SentSettle[] {
    const taken = new Set<number>();
    return settles.flatMap((pending) => {
      const sent = pending.settlements.filter(({ delivery }) => {
        const { id } = delivery.receipt as Fence;
        return this.holds(delivery) && !taken.has(id) && taken.add(id) !== undefined;
      });
      try {
        return [{ ...pending, sent: new Set(sent), columns: settlementColumns(sent) }];
      } catch (error) {
        pending.outcomes.reject(error);
        return [];
      }
    });
  }

  private async call(settles: readonly SentSettle[], claim: PendingClaim | undefined): Promise<void> {
    const columns = joined(settles.map((one) => one.columns));
    if (columns.changes.length > 0) this.frontier.reset();
    const consumer = claim === undefined ? 0 : await this.ready();
    if (claim === undefined && columns.acks.length === 0 && columns.changes.length === 0) {
      this.answer(settles, new Set());
      return;
    }
    const { store } = this.options;
    const queues = claim?.queues ?? [];
    const request = {
      ...columns,
      consumer,
      leaseMs: Math.ceil(this.options.subscription.leaseMs),
      queues,
      places: claim === undefined ? [] : this.frontier.start(queues),
      want: claim?.max ?? 0,
      suspects: this.holdsSuspect() ? 0 : 1,
    };
    try {
      const reply = await store.once(() => store.dialect.exchange(request));
      this.answer(settles, reply.lost);
      if (claim !== undefined) this.deliver(claim, consumer, reply);
    } catch (error) {
      if (claim !== undefined && isFateUnknown(error)) this.answerLost = true;
      throw error;
    }
  }

  /** The row under which to claim. */
  private async ready(): Promise<number> {
    const { lease } = this.options;
    if (this.answerLost) await lease.move(this.held);
    this.answerLost = false;
    return lease.register();
  }

  private holdsSuspect(): boolean {
    for (const row of this.holding.values()) if (row.lostLeases > 0) return true;
    return false;
  }

  private answer(settles: readonly SentSettle[], lost: ReadonlySet<number>): void {
    for (const { settlements, sent, outcomes } of settles) {
      for (const { delivery } of sent) this.drop(delivery);
      outcomes.resolve(
        settlements.map((one) => (sent.has(one) && !lost.has((one.delivery.receipt as Fence).id) ? 'settled' : 'lost')),
      );
    }
  }

  private deliver(claim: PendingClaim, consumer: number, reply: ExchangeReply): void {
    if (reply.gone) {
      this.options.lease.forget(consumer);
      this.holding.clear();
      this.claims.unshift(claim);
      return;
    }
    this.frontier.advance(reply.claimed);
    for (const row of reply.claimed) this.holding.set(row.id, row);
    claim.rows.resolve(reply.claimed);
  }
}
