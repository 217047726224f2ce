import { randomBytes } from 'node:crypto';
import type { Delivery, ExtendOutcome, Subscription } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys } from './redis-keys.js';

/** Names one leased message; nobody else can make one. */
export interface Receipt {
  readonly queue: QueueKeys;
  /** `<list>.<number>` in the consumer's hash of that queue. */
  readonly field: string;
  /** Never used twice by a consumer, in no queue. */
  readonly number: number;
  readonly id: string;
  /** A runner of it was lost before. */
  readonly isSuspect: boolean;
  /** Ours; in a settlement that is under way; or somebody else's, or nobody's any more. */
  standing: 'held' | 'settling' | 'over';
  /** To settle it failed, and may have taken effect all the same: nobody knows whether the server still has it. */
  isDoubtful?: boolean;
}

export interface RedisLeaseOptions {
  readonly connection: RedisConnection;
  readonly subscription: Subscription;
  /** Those of the consumer, which may become more. */
  readonly queues: () => readonly QueueKeys[];
}

/** Messages given back or taken away by one call, at most. */
const BATCH = 100;

/**
 * What a consumer is to the server: in each of its queues a hash of what is leased to it, and an entry that says when
 * its leases end.
 *
 * ```text
 *   UNKNOWN ──register──► REGISTERED ──claim, extend──► REGISTERED      `@` in the hash stands
 *      ▲                      │ └──a claim's answer is lost──► REGISTERED, with a higher floor: a claim under way leases
 *      │                      │      nothing any more, and what it did lease is given back
 *      └──its leases ran out──┘ somebody takes the messages away, and `@` first; registered again when all are gone
 * ```
 *
 * A lease is (consumer, number); numbers are never used again, so whatever comes late finds nothing.
 */
export class RedisLease {
  /** The consumer's name in the keys. A new one each time, whatever the application calls it. */
  readonly consumer: string;
  private readonly registered = new Set<QueueKeys>();
  private unseen: { readonly from: number; readonly to: number }[] = [];
  private next = 1;
  private times = 0;

  constructor(private readonly options: RedisLeaseOptions) {
    this.consumer = `${options.subscription.consumerId}:${randomBytes(6).toString('base64url')}`;
  }

  /** How often it was registered; 0 while it is not. */
  get registration(): number {
    return this.registered.size === this.options.queues().length ? this.times : 0;
  }

  /** Registered everywhere, and nothing leased that we do not know of. */
  async prepare(): Promise<void> {
    const { connection, subscription } = this.options;
    const missing = this.options.queues().filter((queue) => !this.registered.has(queue));
    if (missing.length > 0) {
      const args = [this.consumer, Math.ceil(subscription.leaseMs), this.next];
      const register = async (queue: QueueKeys): Promise<void> => {
        const keys = [queue.leased(this.consumer), queue.consumers, queue.wake];
        while ((await connection.run('register', keys, args)) === 0) await this.bereave(queue);
      };
      await Promise.all(missing.map(register));
      for (const queue of missing) this.registered.add(queue);
      this.times += 1;
    }
    const ranges = this.unseen;
    for (const range of ranges) await this.giveBack({ ...range, floor: this.next });
    this.unseen = this.unseen.filter((range) => !ranges.includes(range));
  }

  /** The first of `count` numbers for a claim. */
  numbers(count: number): number {
    const first = this.next;
    this.next += count;
    return first;
  }

  /** The answer to a claim with these numbers was lost; it may have leased something to us. */
  lostAnswer(from: number, count: number): void {
    this.unseen.push({ from, to: from + count });
  }

  /** Our leases in this queue ran out, and somebody took the messages. */
  forget(queue: QueueKeys): void {
    this.registered.delete(queue);
  }

  /** Lives for `leaseMs` from now, and tells which deliveries are still ours. */
  async extend(deliveries: readonly Delivery[], leaseMs: number): Promise<readonly ExtendOutcome[]> {
    // Also where we have to register again: what is lost in one queue may still be held in another.
    const queues = this.times === 0 ? [] : this.options.queues();
    const receipts = deliveries.map((delivery) => delivery.receipt as Receipt);
    const asked = queues.map((queue) => receipts.filter((receipt) => receipt.queue === queue));
    const held = new Set<number>();
    const answers = await this.renew(queues, asked, Math.ceil(leaseMs));
    answers.forEach((answer, index) => {
      if (answer === -1) this.forget(queues[index] as QueueKeys);
      else asked[index]?.forEach((receipt, at) => answer[at] === 1 && held.add(receipt.number));
    });
    return receipts.map(({ number }) => (held.has(number) ? 'extended' : 'lost'));
  }

  /** Lets these go as if their leases had run out. */
  async forsake(receipts: readonly Receipt[]): Promise<void> {
    for (const queue of this.options.queues()) {
      const fields = receipts.filter((receipt) => receipt.queue === queue).map((receipt) => receipt.field);
      const keys = [queue.leased(this.consumer), queue.suspects, queue.wake];
      if (fields.length > 0) await this.options.connection.run('forsake', keys, fields);
    }
  }

  /** Gives everything back, uncounted as lost, and leaves. */
  async resign(): Promise<void> {
    if (this.times === 0) return;
    await this.giveBack({ from: 0, to: -1, floor: -1 });
    this.registered.clear();
  }

  /** Ends what somebody has begun, who may have died over it: what we held is taken away from us. */
  private async bereave(queue: QueueKeys): Promise<void> {
    const keys = [queue.leased(this.consumer), queue.consumers, queue.suspects, queue.wake];
    await this.options.connection.run('recover', keys, [this.consumer, BATCH]);
  }

  private renew(
    queues: readonly QueueKeys[],
    asked: readonly (readonly Receipt[])[],
    leaseMs: number,
  ): Promise<readonly (-1 | readonly number[])[]> {
    const { connection } = this.options;
    const call = async (from: number, to: number): Promise<(-1 | number[])[]> => {
      const keys = queues
        .slice(from, to)
        .flatMap((queue) => [queue.leased(this.consumer), queue.consumers, queue.wake]);
      const fields = asked
        .slice(from, to)
        .flatMap((receipts) => [receipts.length, ...receipts.map((one) => one.field)]);
      return (await connection.run('extend', keys, [this.consumer, leaseMs, ...fields])) as (-1 | number[])[];
    };
    if (queues.length === 0) return Promise.resolve([]);
    if (!connection.isCluster) return call(0, queues.length);
    return Promise.all(queues.map((_, index) => call(index, index + 1))).then((answers) => answers.flat());
  }

  private async giveBack(range: { from: number; to: number; floor: number }): Promise<void> {
    const { connection } = this.options;
    const args = [this.consumer, range.from, range.to, range.floor, BATCH];
    for (const queue of this.options.queues()) {
      const keys = [...queue.ready, queue.suspects, queue.leased(this.consumer), queue.consumers, queue.wake];
      while (((await connection.run('return', keys, args)) as number) > 0);
    }
  }
}
