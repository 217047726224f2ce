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
import { consumerClosed, systemClock, unlessAborted, WakeUp } from '@taskqueue/core';
import { checkPermissions } from './redis-checks.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisDelay } from './redis-delay.js';
import { RedisExchanger } from './redis-exchanger.js';
import type { RedisForeignWatch } from './redis-foreign-watch.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { Receipt } from './redis-lease.js';
import { RedisLease } from './redis-lease.js';
import type { RedisPublisher } from './redis-publisher.js';
import type { RedisQueues } from './redis-queues.js';
import { RedisSleeper } from './redis-sleeper.js';

export interface RedisConsumerOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly publisher: RedisPublisher;
  readonly known: RedisQueues;
  readonly delay: RedisDelay;
  readonly foreignWatch: RedisForeignWatch;
  readonly subscription: Subscription;
  /** Describes to a keep-alive thread how to renew these leases. */
  readonly keepAlive: (consumer: string, queues: readonly QueueKeys[]) => KeepAlive | undefined;
  /** Called when a queue begins to be consumed, and when the server does not know this consumer any more. */
  readonly checkData: () => void;
  readonly onClosed: (consumer: RedisConsumer) => void;
}

/** An empty `receive` answers after this long at the latest. */
const LONGEST_WAIT_MS = 5_000;
/** Who has waited for this long watches for messages of others too. Who is busy has no use for it. */
const WATCH_AFTER_MS = 50;
/** A claim that is under way at an abort is waited for so long. */
const ABORT_GRACE_MS = 250;
/**
 * `close` does not wait longer than this for a server that does not answer; the leases run out by themselves then. A worker
 * has five seconds after its grace, and something else to do in them.
 */
const LONGEST_CLOSE_MS = 4_000;

/** The receiving side of one worker on Redis. */
export class RedisConsumer implements Consumer {
  /** All that it ever received from: it may hold something of each. */
  private queues: readonly QueueKeys[];
  private readonly lease: RedisLease;
  private readonly exchanger: RedisExchanger;
  private readonly sleeper: RedisSleeper;
  private readonly bell = new WakeUp();
  private readonly bells: (() => void)[];
  /** What the latest request is about. */
  private wanted: readonly QueueKeys[];
  private waiting = 0;
  private closing: Promise<void> | undefined;
  private kept: { readonly registration: number; readonly keepAlive: KeepAlive | undefined } | undefined;

  constructor(private readonly options: RedisConsumerOptions) {
    const { connection, keys, publisher, known, delay, subscription } = options;
    const queues = [...new Set(subscription.queues)].map((name) => keys.queue(name));
    this.queues = queues;
    this.lease = new RedisLease({ connection, subscription, queues: () => this.queues });
    this.wanted = queues;
    this.exchanger = new RedisExchanger({
      connection,
      keys,
      publisher,
      known,
      queues: () => this.queues,
      lease: this.lease,
      leaseMs: subscription.leaseMs,
      onNextDue: (ms) => delay.lookWithin(ms),
      onFreed: () => this.bell.ring(),
      onGone: options.checkData,
    });
    this.sleeper = new RedisSleeper({ connection, onRing: (queue) => this.wanted.includes(queue) && this.rung() });
    this.bells = [delay.attach({ queues, ring: () => void this.rung() })];
  }

  get queueNames(): readonly string[] {
    return this.queues.map((keys) => keys.queue);
  }

  get keepAlive(): KeepAlive | undefined {
    const { registration } = this.lease;
    if (registration === 0) return undefined;
    if (this.kept?.registration !== registration) {
      this.kept = { registration, keepAlive: this.options.keepAlive(this.lease.consumer, this.queues) };
    }
    return this.kept.keepAlive;
  }

  async receive(request: ReceiveRequest): Promise<readonly Delivery[]> {
    const { max, signal } = request;
    if (this.isClosed) throw consumerClosed();
    await this.want(request.queues);
    const deadline = performance.now() + LONGEST_WAIT_MS;
    while (max > 0 && !this.isClosed && !signal.aborted) {
      const deliveries = await this.claim(max, signal);
      if (deliveries.length > 0) return deliveries;
      const left = deadline - performance.now();
      if (left <= 0) break;
      await this.wait(left, signal);
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
      if (outcome === 'lost' && one !== undefined) this.exchanger.drop(one.receipt as Receipt);
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

  /** Answers whether somebody waits here. */
  private rung(): boolean {
    if (this.waiting === 0) return false;
    this.bell.ring();
    return true;
  }

  private async wait(ms: number, signal: AbortSignal): Promise<void> {
    this.waiting += 1;
    this.sleeper.sleep(this.wanted);
    let unwatch: (() => void) | undefined;
    const timer = setTimeout(() => {
      unwatch = this.options.foreignWatch.watch({ queues: this.wanted, ring: () => this.bell.ring() });
    }, WATCH_AFTER_MS);
    await this.bell.wait(systemClock, ms, signal);
    clearTimeout(timer);
    unwatch?.();
    this.waiting -= 1;
    if (this.waiting === 0) this.sleeper.wake();
  }

  private async want(names = this.options.subscription.queues): Promise<void> {
    if (names.length === this.wanted.length && names.every((name, index) => name === this.wanted[index]?.queue)) return;
    const { keys, connection, known } = this.options;
    const wanted = names.map((name) => this.queues.find(({ queue }) => queue === name) ?? keys.queue(name));
    const fresh = wanted.filter((queue) => !this.queues.includes(queue));
    if (fresh.length > 0) {
      const added = fresh.map(({ queue }) => queue);
      await checkPermissions(connection, keys, added);
      await known.ensure(added);
      this.queues = [...this.queues, ...fresh];
      this.options.checkData();
      this.bells.push(this.options.delay.attach({ queues: fresh, ring: () => void this.rung() }));
    }
    this.wanted = wanted;
  }

  /** An abort is obeyed while the server thinks; what it then still leases to us goes straight back. */
  private async claim(max: number, signal: AbortSignal): Promise<readonly Delivery[]> {
    const coming = this.exchanger.claim(max, this.wanted);
    const deliveries = await unlessAborted(coming, signal, ABORT_GRACE_MS);
    if (deliveries === undefined)
      coming.then(
        (late) => this.giveBack(late),
        () => undefined,
      );
    return deliveries ?? [];
  }

  private async giveBack(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    try {
      await this.settle(deliveries.map((delivery) => ({ kind: 'release', delivery })));
    } catch {
      // Nobody else will ask for them: they go back before the next claim.
      for (const { receipt } of deliveries) {
        this.exchanger.drop(receipt as Receipt);
        this.lease.lostAnswer((receipt as Receipt).number, 1);
      }
    }
  }

  private async shut(): Promise<void> {
    for (const detach of this.bells) detach();
    this.bell.ring();
    this.sleeper.close();
    const away = this.exchanger.settled().then(() => this.lease.resign());
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_CLOSE_MS)));
    await Promise.race([away.catch(() => undefined), tooLong]);
    clearTimeout(timer);
    this.options.onClosed(this);
  }
}
