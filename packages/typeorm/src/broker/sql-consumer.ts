import type {
  Consumer,
  Delivery,
  ExtendOutcome,
  KeepAlive,
  ReceiveRequest,
  SettleOutcome,
  Settlement,
  Subscription,
} from '@taskqueue/core';
import { WakeUp, consumerClosed, systemClock, unlessAborted } from '@taskqueue/core';
import { encodedMessage } from '../sql/message-row.js';
import type { SqlStore } from '../sql/sql-store.js';
import type { ClaimedRow, Fence } from './exchange.js';
import { Exchanger } from './exchanger.js';
import { Lease } from './lease.js';
import type { WakeHub } from './wake-hub.js';

export interface SqlConsumerOptions {
  readonly store: SqlStore;
  readonly hub: WakeHub;
  readonly subscription: Subscription;
  /** Longest time between two looks while nothing comes, milliseconds. */
  readonly pollMs: number;
  /** Describes to a keep-alive thread how to renew the row with this id. */
  readonly keepAlive: (consumer: number) => KeepAlive | undefined;
  readonly onClosed: (consumer: SqlConsumer) => void;
}

/** An empty `receive` answers after this long at the latest. */
const LONGEST_WAIT_MS = 5_000;
/** The first looks of a wait come sooner: a publication that was under way when we fell asleep did not announce itself. */
const FIRST_LOOK_MS = 50;
/** So many claims in a row brought something: we are busy, and need no announcements. */
const BUSY_CLAIMS = 3;
/** A claim that is under way at an abort is waited for so long. */
const ABORT_GRACE_MS = 250;
/** `close` does not wait longer than this for a database that does not answer; the lease runs out by itself then. */
const LONGEST_CLOSE_MS = 5_000;

/** The receiving side of one worker on an SQL database. */
export class SqlConsumer implements Consumer {
  private readonly lease: Lease;
  private readonly exchanger: Exchanger;
  private readonly bell = new WakeUp();
  private readonly detach: () => void;
  private closing: Promise<void> | undefined;
  private busyClaims = 0;
  private kept: { readonly id: number; readonly keepAlive: KeepAlive | undefined } | undefined;

  constructor(private readonly options: SqlConsumerOptions) {
    const { store, subscription } = options;
    this.lease = new Lease(store, subscription);
    this.exchanger = new Exchanger({ store, subscription, lease: this.lease });
    this.detach = options.hub.attach({
      ring: () => this.bell.ring(),
      promoted: () => this.exchanger.lookFromTheBeginning(),
    });
  }

  get keepAlive(): KeepAlive | undefined {
    const id = this.lease.current;
    if (id === 0) return undefined;
    if (this.kept?.id !== id) this.kept = { id, keepAlive: this.options.keepAlive(id) };
    return this.kept.keepAlive;
  }

  async receive(request: ReceiveRequest): Promise<readonly Delivery[]> {
    const { max, signal } = request;
    if (this.isClosed) throw consumerClosed();
    const deadline = performance.now() + LONGEST_WAIT_MS;
    let look = FIRST_LOOK_MS;
    while (max > 0 && !this.isClosed && !signal.aborted) {
      const rows = await this.claim(request);
      if (rows.length > 0) return rows.map(delivery);
      const left = deadline - performance.now();
      if (left <= 0) break;
      // Who published just before we said that we sleep did not see it: one more look.
      if (await this.lease.sayIdle(true)) continue;
      await this.bell.wait(systemClock, Math.min(left, look), signal);
      look = Math.min(this.options.pollMs, look * 4);
    }
    return [];
  }

  settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    return settlements.length === 0 ? Promise.resolve([]) : this.exchanger.settle(settlements);
  }

  async extend(deliveries: readonly Delivery[], leaseMs: number): Promise<readonly ExtendOutcome[]> {
    const outcomes = await this.lease.extend(deliveries, leaseMs);
    outcomes.forEach((outcome, index) => {
      const one = deliveries[index];
      if (outcome === 'lost' && one !== undefined) this.exchanger.drop(one);
    });
    return outcomes;
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private get isClosed(): boolean {
    return this.closing !== undefined;
  }

  /** An abort is obeyed while the database thinks; what it then still leases to us goes straight back. */
  private async claim({ max, queues, signal }: ReceiveRequest): Promise<readonly ClaimedRow[]> {
    const coming = this.exchanger.claim(max, queues);
    const rows = await unlessAborted(coming, signal, ABORT_GRACE_MS);
    if (rows === undefined) {
      coming.then((late) => this.giveBack(late)).catch(() => undefined);
      return [];
    }
    if (rows.length > 0) this.noteWork();
    else this.busyClaims = 0;
    return rows;
  }

  private async giveBack(rows: readonly ClaimedRow[]): Promise<void> {
    if (rows.length > 0) await this.settle(rows.map((row) => ({ kind: 'release', delivery: delivery(row) })));
  }

  private noteWork(): void {
    this.busyClaims += 1;
    // What cannot be said now is said later; announcements that nobody needs do no harm.
    if (this.busyClaims === BUSY_CLAIMS) void this.lease.sayIdle(false).catch(() => undefined);
  }

  private async shut(): Promise<void> {
    this.detach();
    this.bell.ring();
    const away = this.exchanger.settled().then(() => this.lease.resign(this.exchanger.held));
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_CLOSE_MS)));
    // When the database cannot be reached, the leases run out by themselves.
    await Promise.race([away.catch(() => undefined), tooLong]);
    clearTimeout(timer);
    this.options.onClosed(this);
  }
}

function delivery(row: ClaimedRow): Delivery {
  const receipt: Fence = { id: row.id, run: row.run };
  return {
    message: encodedMessage(row),
    queue: row.queue,
    receipt,
    run: row.run,
    lostLeases: row.lostLeases,
    redelivered: row.run > 1,
    enqueuedAt: row.enqueuedAt,
  };
}
