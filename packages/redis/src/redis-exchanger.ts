import type { Deferred, Delivery, SettleOutcome, Settlement } from '@taskqueue/core';
import { deferred, isTaskQueueError } from '@taskqueue/core';
import type { ExchangeCaller, ExchangeGroup, ExchangeReply, ExchangeRequest } from './exchange.js';
import { exchange, exchangeGroup } from './exchange.js';
import { openEnvelope } from './kombu-envelope.js';
import type { RedisConnection } from './redis-connection.js';
import { isNothingDone, notOneStep, unregistered } from './redis-errors.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { Receipt, RedisLease } from './redis-lease.js';
import type { PlacedMessage, RedisPublisher } from './redis-publisher.js';
import type { RedisQueues } from './redis-queues.js';
import type { PreparedSettlement } from './settlement-arguments.js';
import { isPlainAck, prepareSettlement, settleArguments } from './settlement-arguments.js';
import { settlementBatches } from './settlement-batches.js';

export interface RedisExchangerOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly lease: RedisLease;
  readonly publisher: RedisPublisher;
  /** Where those are made known that a settlement sends to. */
  readonly known: RedisQueues;
  /** Those of the consumer, which may become more. */
  readonly queues: () => readonly QueueKeys[];
  readonly leaseMs: number;
  /** Asked for after a claim that was not filled: the next delayed message falls due in so many milliseconds. */
  readonly onNextDue: (ms: number) => void;
  /** Something can be taken now that could not before. */
  readonly onFreed: () => void;
  /** The server does not know this consumer any more. */
  readonly onGone: () => void;
}

interface PendingSettle {
  readonly settlements: readonly Settlement[];
  readonly outcomes: Deferred<readonly SettleOutcome[]>;
}

/** A settle call on its way: which of it are sent, as plain acknowledgements and as the rest. */
interface SentSettle extends PendingSettle {
  readonly sent: readonly boolean[];
  readonly acks: readonly Receipt[];
  readonly others: readonly PreparedSettlement[];
}

interface PendingClaim {
  readonly max: number;
  readonly queues: readonly QueueKeys[];
  readonly deliveries: Deferred<readonly Delivery[]>;
}

/** Calls under way at once: the server works on one while the other is on its way. */
const CALLS = 2;
/** Messages of one claim, and acknowledgements of one call, at most; scripts take a bounded number of arguments. */
const LARGEST_CLAIM = 1_000;
const LARGEST_ACK = 2_000;
/**
 * Whoever settles tries again at least once a second, until giving up. A lease that nobody would ever end is then let go,
 * because this one does not run out by itself: all leases of a consumer are renewed together.
 */
const GIVEN_UP_AFTER_MS = 5_000;
/** A claim that finds the consumer unknown registers it and is made again. */
const CLAIM_ATTEMPTS = 4;

/**
 * Folds what is settled and what is wanted into calls that do both: what comes within a tick goes together, and what
 * comes while the calls under way are at their limit goes with the next one. One claim is under way at a time.
 */
export class RedisExchanger {
  private settles: PendingSettle[] = [];
  private claims: PendingClaim[] = [];
  /** What the server, or we, refused to settle → when that was, monotonic. */
  private readonly refused = new Map<Receipt, number>();
  private calls = 0;
  private claiming = false;
  private scheduled = false;
  private suspects = 0;
  private quiet: Deferred<void> | undefined;
  private readonly made = new WeakMap<readonly QueueKeys[], readonly ExchangeGroup[]>();
  private readonly caller: ExchangeCaller;

  constructor(private readonly options: RedisExchangerOptions) {
    const { connection, lease } = options;
    const { order } = options.keys.priorities;
    this.caller = { connection, consumer: lease.consumer, leaseMs: Math.ceil(options.leaseMs), order };
  }

  settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const outcomes = deferred<readonly SettleOutcome[]>();
    this.settles.push({ settlements, outcomes });
    this.schedule();
    return outcomes.promise;
  }

  /** At most `max` messages of these queues, leased to us. */
  claim(max: number, queues: readonly QueueKeys[]): Promise<readonly Delivery[]> {
    const deliveries = deferred<readonly Delivery[]>();
    this.claims.push({ max: Math.min(max, LARGEST_CLAIM), queues, deliveries });
    this.schedule();
    return deliveries.promise;
  }

  /** Somebody else has it, or may take it. */
  drop(receipt: Receipt): void {
    if (this.refused.size > 0) this.refused.delete(receipt);
    const wasOurs = receipt.standing !== 'over';
    receipt.standing = 'over';
    if (!wasOurs || !receipt.isSuspect) return;
    this.suspects -= 1;
    this.options.onFreed();
  }

  /** Resolves when no call is under way or about to be. */
  async settled(): Promise<void> {
    while (this.calls > 0 || this.scheduled) {
      this.quiet ??= deferred();
      await this.quiet.promise;
    }
  }

  private schedule(): void {
    if (this.scheduled || this.calls >= CALLS) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      void this.flush();
    });
  }

  private async flush(): Promise<void> {
    const settles = this.prepare(this.takeSettles());
    const claim = this.claiming ? undefined : this.claims.shift();
    if (settles.length > 0 || claim !== undefined) {
      this.calls += 1;
      if (claim !== undefined) this.claiming = true;
      await this.call(settles, claim);
      this.calls -= 1;
      if (claim !== undefined) this.claiming = false;
      if (this.settles.length > 0 || (this.claims.length > 0 && !this.claiming)) this.schedule();
    }
    if (this.calls > 0 || this.scheduled) return;
    this.quiet?.resolve();
    this.quiet = undefined;
  }

  private takeSettles(): PendingSettle[] {
    let size = 0;
    const end = this.settles.findIndex((one) => (size += one.settlements.length) > LARGEST_ACK);
    return this.settles.splice(0, end < 0 ? this.settles.length : Math.max(1, end));
  }

  /** Leaves out what we do not hold any more, and what is being settled already. A settle that cannot be sent fails alone. */
  private prepare(settles: readonly PendingSettle[]): SentSettle[] {
    return settles.flatMap((pending) => {
      const sent: boolean[] = [];
      const acks: Receipt[] = [];
      const others: PreparedSettlement[] = [];
      try {
        for (const settlement of pending.settlements) {
          const receipt = settlement.delivery.receipt as Receipt;
          const isHeld = receipt.standing === 'held';
          // The server takes acknowledgements all at once, which says nothing of each where some may be done already.
          if (isHeld && isPlainAck(settlement) && receipt.isDoubtful !== true) acks.push(receipt);
          else if (isHeld) others.push(prepareSettlement(settlement, this.options.publisher));
          if (isHeld) receipt.standing = 'settling';
          sent.push(isHeld);
        }
        return [{ ...pending, sent, acks, others }];
      } catch (error) {
        this.refuse({ ...pending, sent }, error);
        return [];
      }
    });
  }

  /** Never rejects. Acknowledgements ride with the claim; the rest is written in the same go, in a call of its own. */
  private async call(settles: readonly SentSettle[], claim: PendingClaim | undefined): Promise<void> {
    const lost = new Set<Receipt>();
    const others = settles.flatMap((one) => one.others);
    const acks: Acks = { receipts: settles.flatMap((one) => one.acks), done: false };
    const [settled, exchanged] = await Promise.allSettled([
      others.length === 0 ? undefined : this.settleOthers(others, lost),
      claim === undefined ? this.acknowledge(acks, lost) : this.claimNow(claim, acks, lost),
    ]);
    if (exchanged.status === 'fulfilled') claim?.deliveries.resolve(exchanged.value);
    else claim?.deliveries.reject(exchanged.reason);
    for (const one of settles) {
      if (one.others.length > 0 && settled.status === 'rejected') this.refuse(one, settled.reason);
      else if (one.acks.length > 0 && !acks.done && exchanged.status === 'rejected') this.refuse(one, exchanged.reason);
      else this.answer(one, lost);
    }
  }

  /** What was sent is held again: it will be tried again, or given up. */
  private refuse({ settlements, sent, outcomes }: Omit<SentSettle, 'acks' | 'others'>, error: unknown): void {
    const isFinal = !isTaskQueueError(error) || !error.retryable;
    const now = performance.now();
    settlements.forEach(({ delivery }, index) => {
      const receipt = delivery.receipt as Receipt;
      if (sent[index] === true && receipt.standing === 'settling') {
        receipt.standing = 'held';
        receipt.isDoubtful = true;
      }
      if (isFinal && receipt.standing === 'held') this.refused.set(receipt, now);
    });
    outcomes.reject(error);
  }

  private async forsakeRefused(): Promise<void> {
    const before = performance.now() - GIVEN_UP_AFTER_MS;
    const receipts = [...this.refused].filter(([, refusedAt]) => refusedAt < before).map(([receipt]) => receipt);
    if (receipts.length === 0) return;
    await this.options.lease.forsake(receipts);
    for (const receipt of receipts) this.drop(receipt);
  }

  private answer({ settlements, sent, outcomes }: SentSettle, lost: ReadonlySet<Receipt>): void {
    const answers = settlements.map(({ delivery }, index): SettleOutcome => {
      const receipt = delivery.receipt as Receipt;
      if (sent[index] !== true) return 'lost';
      this.drop(receipt);
      return lost.size > 0 && lost.has(receipt) ? 'lost' : 'settled';
    });
    outcomes.resolve(answers);
  }

  private async acknowledge(acks: Acks, lost: Set<Receipt>): Promise<readonly Delivery[]> {
    for (let start = 0; start < acks.receipts.length; start += LARGEST_ACK) {
      const receipts = acks.receipts.slice(start, start + LARGEST_ACK);
      const calls = this.groups(this.options.queues()).map((group) =>
        exchange(this.caller, group, { receipts, want: 0, suspects: 0, number: 0, lost }),
      );
      await Promise.all(calls);
    }
    acks.done = true;
    return [];
  }

  private async claimNow(claim: PendingClaim, acks: Acks, lost: Set<Receipt>): Promise<readonly Delivery[]> {
    const { max, queues } = claim;
    const groups = this.groups(queues);
    const holds = (receipt: Receipt): boolean => queues.includes(receipt.queue);
    const fits = groups.length === 1 && (queues === this.options.queues() || acks.receipts.every(holds));
    // Where a claim takes several calls, what is acknowledged does not wait for them; and a call takes no more than it can.
    if (!fits || acks.receipts.length > LARGEST_ACK) await this.acknowledge(acks, lost);
    if (this.refused.size > 0) await this.forsakeRefused();
    for (let attempt = 1; ; attempt += 1) {
      await this.options.lease.prepare();
      const deliveries: Delivery[] = [];
      let isKnown = true;
      for (const group of groups) {
        const want = max - deliveries.length;
        if (want === 0) break;
        const receipts = acks.done ? [] : acks.receipts;
        const request = { receipts, want, number: this.options.lease.numbers(want), lost };
        try {
          if ((await this.claimFrom(group, request, deliveries)) !== 0) isKnown = false;
        } catch (error) {
          if (deliveries.length === 0) throw error;
          return deliveries;
        }
        if (groups.length === 1) acks.done = true;
      }
      if (isKnown || deliveries.length > 0) return deliveries;
      if (attempt === CLAIM_ATTEMPTS) throw unregistered();
    }
  }

  /** Of what can go in one call. */
  private groups(queues: readonly QueueKeys[]): readonly ExchangeGroup[] {
    const { connection, lease } = this.options;
    let groups = this.made.get(queues);
    if (groups === undefined) {
      const slots = connection.isCluster ? queues.map((queue) => [queue]) : [queues];
      this.made.set(queues, (groups = slots.map((slot) => exchangeGroup(slot, lease.consumer))));
    }
    return groups;
  }

  private async claimFrom(
    group: ExchangeGroup,
    request: Omit<ExchangeRequest, 'suspects'>,
    deliveries: Delivery[],
  ): Promise<number> {
    const { lease, onNextDue } = this.options;
    const { want, number } = request;
    try {
      const [status, nextDueMs, , claimed] = await exchange(this.caller, group, {
        ...request,
        suspects: this.suspects > 0 ? 0 : 1,
      });
      if (status === 1) this.expired(group.queues);
      if (status === 2) lease.lostAnswer(number, want);
      const before = deliveries.length;
      this.open(group.queues, claimed, number, deliveries);
      if (deliveries.length - before < want && nextDueMs >= 0) onNextDue(nextDueMs);
      return status;
    } catch (error) {
      // It may have leased something, of which nobody would ever hear.
      if (!isNothingDone(error)) lease.lostAnswer(number, want);
      throw error;
    }
  }

  /** Our leases in some of these queues ran out. Where they did not, to register again changes nothing. */
  private expired(queues: readonly QueueKeys[]): void {
    for (const queue of queues) this.options.lease.forget(queue);
    this.options.onGone();
  }

  private open(queues: readonly QueueKeys[], claimed: ExchangeReply[3], first: number, into: Delivery[]): void {
    let number = first;
    for (let at = 0; at < claimed.length; at += 3) {
      const queue = queues[claimed[at] as number] as QueueKeys;
      const list = claimed[at + 1] as number;
      for (const text of claimed[at + 2] as string[]) {
        into.push(this.hold(text, { queue, list, number }));
        number += 1;
      }
    }
  }

  private hold(text: string, place: { queue: QueueKeys; list: number; number: number }): Delivery {
    const { queue, list, number } = place;
    const { message, acceptedAt, runs, losses, redelivered, id } = openEnvelope(text, queue.priorities);
    const receipt: Receipt = {
      queue,
      field: `${list}.${number}`,
      number,
      // What has no id of its own is known by its lease, should it have to be buried.
      id: id === '' ? `${this.options.lease.consumer}.${number}` : id,
      isSuspect: losses > 0,
      standing: 'held',
    };
    if (receipt.isSuspect) this.suspects += 1;
    return {
      message,
      queue: queue.queue,
      receipt,
      run: runs + 1,
      lostLeases: losses,
      redelivered,
      ...(acceptedAt === undefined ? {} : { enqueuedAt: acceptedAt }),
    };
  }

  private async settleOthers(settlements: readonly PreparedSettlement[], lost: Set<Receipt>): Promise<void> {
    this.announceTargets(settlements);
    const batches = settlementBatches(settlements, this.options.connection.isCluster);
    await Promise.all(batches.map((batch) => this.settleBatch(batch, lost)));
  }

  /** Sent right before the settlements, which do not depend on it: at maxmemory it is refused, and they are not. */
  private announceTargets(settlements: readonly PreparedSettlement[]): void {
    const sent = settlements.flatMap(({ next, followUps }): readonly PlacedMessage[] =>
      next === undefined ? followUps : [next, ...followUps],
    );
    const unknown = this.options.known.unknown(sent);
    if (unknown.length > 0) this.options.known.ensure(unknown).catch(() => undefined);
  }

  private async settleBatch(batch: readonly PreparedSettlement[], lost: Set<Receipt>): Promise<void> {
    const { connection, keys, lease, publisher } = this.options;
    const [first] = batch;
    if (connection.isCluster && first !== undefined) {
      if (first.results.length + first.followUps.length > 0) throw notOneStep();
      if (first.next !== undefined && first.next.queue !== first.receipt.queue) {
        if (!(await this.moveAcross(first, publisher))) lost.add(first.receipt);
        return;
      }
    }
    const call = settleArguments(batch, { keys, consumer: lease.consumer });
    const outcomes = (await connection.run('settle', call.keys, call.args)) as number[];
    batch.forEach(({ receipt }, index) => {
      if (outcomes[index] !== 1) lost.add(receipt);
    });
  }

  /** To a queue in another slot: sent there first, then acknowledged here, so a crash in between repeats and never loses. */
  private async moveAcross({ receipt, next }: PreparedSettlement, publisher: RedisPublisher): Promise<boolean> {
    const { connection, lease } = this.options;
    const held = await connection.command('hexists', receipt.queue.leased(lease.consumer), receipt.field);
    if (held !== 1 || next === undefined) return false;
    const [outcome] = await publisher.send([next]);
    if (outcome !== undefined && 'error' in outcome) throw outcome.error;
    const lost = new Set<Receipt>();
    await this.acknowledge({ receipts: [receipt], done: false }, lost);
    return lost.size === 0;
  }
}

/** Plain acknowledgements of one call. */
interface Acks {
  readonly receipts: readonly Receipt[];
  /** The server has answered for them. */
  done: boolean;
}
