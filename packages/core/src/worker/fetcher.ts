import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { WakeUp } from '../async/wake-up.js';
import type { Consumer } from '../ports/broker.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { ConsumedQueues } from './consumed-queues.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Lookahead } from './lookahead.js';
import type { RateLimiter } from './rate-limiter.js';

export interface FetcherOptions {
  readonly consumer: Consumer;
  readonly pool: ExecutionPool;
  readonly leases: LeaseKeeper;
  readonly lookahead: Lookahead;
  readonly queues: ConsumedQueues;
  readonly rates: RateLimiter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseMs: number;
  /** Slots of the pool that are idle, and taken all the same. */
  readonly reserved: () => number;
  /** Starts a delivery in a slot that is free. Never throws. */
  readonly execute: (delivery: Delivery) => void;
  /** Gives a delivery back that was not started. */
  readonly release: (delivery: Delivery) => Promise<unknown>;
}

/** A message leased ahead that waits longer than this for a slot is given back, and so are those behind it. */
const LONGEST_WAIT_FOR_SLOT_MS = 250;

/**
 * Tasks that end at once would run through the whole buffer before the event loop turns: the request for more, and what they
 * settle, are on their way to the store while the next ones run.
 */
const STARTS_IN_A_TURN = 500;

/**
 * So many may have ended without the store having said that they are settled. Results may be kept by a store that is
 * away while the broker is not; then no more is taken until it is back.
 */
const MOST_UNSETTLED = 10_000;

/**
 * Asks the broker for as many messages as can start, no more. One request is under way at a time.
 *
 * ```text
 *            ┌────────────────────────────────────────────────┐
 *            ▼                                                │
 *   WANTING (slots + lookahead − buffered > 0) ──receive──► STARTING (idle slots take from the buffer)
 *            ▲                                                │
 *            └──a slot becomes idle, the buffer is half empty─┘        stop: buffer given back, nothing new starts
 * ```
 */
export class Fetcher {
  private buffer: Delivery[] = [];
  private readonly bell = new WakeUp();
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;
  private watch: ClockTimer | undefined;
  private started = 0;
  private startedInTurn = 0;
  private turn: NodeJS.Immediate | undefined;
  /** Monotonic time at which the buffer was last filled. */
  private filledAt = 0;
  private unlisten: (() => void) | undefined;
  private lastSuccess: number | undefined;
  private paused = false;
  private draining = false;
  private drainAgain = false;
  /** Too much is unsettled. */
  private crowded = false;
  /** Aborted to end the request under way: at a pause, and at the stop. */
  private receiving = new AbortController();

  constructor(private readonly options: FetcherOptions) {}

  /** Monotonic time of the last answer of the broker, or of the start; undefined before it. Readiness is measured by it. */
  get lastFetchAt(): number | undefined {
    return this.lastSuccess;
  }

  get buffered(): number {
    return this.buffer.length;
  }

  /** Leased, and not started yet. */
  get waiting(): readonly Delivery[] {
    return [...this.buffer, ...this.options.rates.parked];
  }

  start(): void {
    this.lastSuccess = this.options.clock.monotonic();
    this.unlisten = this.options.pool.onIdle(() => this.refill());
    this.loop = this.run();
  }

  /** No new start after this returns; what was leased and not started is given back. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.receiving.abort();
    this.unlisten?.();
    this.watch?.cancel();
    clearImmediate(this.turn);
    await this.giveBackAll();
    await this.loop;
    await this.giveBackAll();
  }

  /** Takes and starts nothing more until `resume`; what was leased ahead is given back. Running tasks go on. */
  pause(): void {
    this.paused = true;
    this.receiving.abort();
    void this.giveBackAll();
  }

  resume(): void {
    if (!this.paused || this.stopping.signal.aborted) return;
    this.paused = false;
    this.receiving = new AbortController();
    this.bell.ring();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const { clock, logger } = this.options;
    let failures = 0;
    while (!signal.aborted) {
      const want = this.want();
      const plan = want === 0 ? undefined : this.options.queues.plan(want);
      if (plan === undefined) {
        await this.bell.wait(clock, 60_000, signal);
        continue;
      }
      const { signal: asking } = this.receiving;
      try {
        const askedAt = clock.monotonic();
        const deliveries = await this.options.consumer.receive({ ...plan, signal: asking });
        this.lastSuccess = clock.monotonic();
        failures = 0;
        this.options.queues.hold(deliveries);
        // An answer that waited for us while we were frozen is not news: giving it back asks the store.
        if (this.options.leases.stoodStillSince(askedAt)) await this.release(deliveries);
        else if (deliveries.length > 0) this.take(deliveries);
        if (this.paused) await this.giveBackAll();
      } catch (error) {
        if (asking.aborted) continue;
        failures += 1;
        const waitMs = Math.min(5_000, 100 * 2 ** Math.min(failures, 10));
        if (failures <= 3 || failures % 20 === 0) {
          logger.warn(`The broker cannot be reached; next try in ${waitMs} ms: ${String(error)}`, 'Fetcher');
        }
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  private get idle(): number {
    return Math.max(0, this.options.pool.idle - this.options.reserved());
  }

  private want(): number {
    if (this.paused) return 0;
    const { pool, lookahead, leases } = this.options;
    const ahead = lookahead.size(pool.size);
    const running = pool.size - this.idle;
    this.crowded = leases.count - this.buffer.length - running >= MOST_UNSETTLED;
    if (this.crowded) return 0;
    const capacity = this.idle + ahead - this.buffer.length;
    // No trickle: while something is buffered, ask again when half of it is used up.
    if (this.buffer.length > 0 && this.buffer.length > ahead / 2) return 0;
    return Math.max(0, capacity);
  }

  private take(received: readonly Delivery[]): void {
    const deliveries = this.stillWanted(received);
    this.options.leases.hold(deliveries);
    this.filledAt = this.options.clock.monotonic();
    // A message that was lost before comes alone and starts first, so that its blame is its own.
    const suspects = deliveries.filter((delivery) => (delivery.lostLeases ?? 0) > 0);
    const fresh = deliveries.filter((delivery) => (delivery.lostLeases ?? 0) === 0);
    this.buffer = [...suspects, ...this.buffer, ...fresh];
    this.drain();
  }

  /** An answer that was under way when its queue was cancelled is given back. */
  private stillWanted(received: readonly Delivery[]): readonly Delivery[] {
    const { queues } = this.options;
    const others = received.filter(({ queue }) => !queues.has(queue));
    if (others.length === 0) return received;
    void this.release(others);
    return received.filter(({ queue }) => queues.has(queue));
  }

  /** What was leased may not be ours any more. */
  discard(deliveries: readonly Delivery[]): void {
    const parked = this.options.rates.take(deliveries);
    const buffered = this.buffer.filter((delivery) => deliveries.includes(delivery));
    this.buffer = this.buffer.filter((delivery) => !buffered.includes(delivery));
    this.end([...buffered, ...parked]);
    this.bell.ring();
  }

  /** One that was parked takes the next slot. */
  resumeParked(delivery: Delivery): void {
    this.buffer.unshift(delivery);
    this.drain();
    // Somebody who is paused, or stops, starts nothing.
    if (this.stopping.signal.aborted || this.paused) void this.giveBack();
  }

  /** Other queues are taken from now on: what is leased of those that are not is given back. */
  async turnTo(queues: readonly string[]): Promise<void> {
    this.askAnew();
    const isOther = (delivery: Delivery): boolean => !queues.includes(delivery.queue);
    const others = [
      ...this.buffer.filter(isOther),
      ...this.options.rates.take(this.options.rates.parked.filter(isOther)),
    ];
    this.buffer = this.buffer.filter((delivery) => !others.includes(delivery));
    await this.release(others);
  }

  /** A slot became idle, or a delivery ended without one. */
  refill(): void {
    this.drain();
    if (this.want() > 0) this.bell.ring();
  }

  /** The store has answered about one. */
  settled(delivery: Delivery): void {
    this.end([delivery]);
    if (this.crowded && this.want() > 0) this.bell.ring();
  }

  private drain(): void {
    // A delivery that is refused at once frees its slot while we are still at it.
    this.drainAgain = this.draining;
    if (this.draining) return;
    this.draining = true;
    do {
      this.drainAgain = false;
      this.startBuffered();
    } while (this.drainAgain);
    this.draining = false;
  }

  private startBuffered(): void {
    if (this.stopping.signal.aborted || this.paused || this.buffer.length === 0) return;
    for (let slots = this.idle; slots > 0; slots -= 1) {
      // Asked before each, because even between two of them the process may be frozen.
      if (this.isStale()) {
        void this.giveBack();
        return;
      }
      if (this.startedInTurn >= STARTS_IN_A_TURN) {
        this.turn ??= setImmediate(() => this.nextTurn());
        return;
      }
      const delivery = this.buffer.shift();
      if (delivery === undefined) break;
      this.started += 1;
      this.startedInTurn += 1;
      this.options.execute(delivery);
    }
    if (this.buffer.length > 0 && this.watch === undefined) this.watchBuffer(this.started);
  }

  private nextTurn(): void {
    this.turn = undefined;
    this.startedInTurn = 0;
    this.drain();
  }

  /** While something is buffered, looks now and then whether anything starts; if nothing does, the buffer is given back. */
  private watchBuffer(startedBefore: number): void {
    this.watch = this.options.clock.timer(LONGEST_WAIT_FOR_SLOT_MS, () => {
      this.watch = undefined;
      if (this.buffer.length === 0 || this.stopping.signal.aborted) return;
      if (this.started > startedBefore) {
        this.watchBuffer(this.started);
        return;
      }
      this.options.lookahead.reset();
      void this.giveBack();
    });
  }

  /**
   * A process that was frozen for longer than its lease wakes up with a buffer that others may have finished by now.
   * Nothing of it may start before the store has been asked; giving it back asks.
   */
  private isStale(): boolean {
    const confirmedAt = Math.max(this.filledAt, this.options.leases.extendedAt);
    return this.options.clock.monotonic() - confirmedAt > this.options.leaseMs;
  }

  /** The request under way does not name what may be taken now. */
  private askAnew(): void {
    if (!this.paused && !this.stopping.signal.aborted) {
      this.receiving.abort();
      this.receiving = new AbortController();
    }
    this.bell.ring();
  }

  private async giveBackAll(): Promise<void> {
    await Promise.all([this.giveBack(), this.release(this.options.rates.take())]);
  }

  private async giveBack(): Promise<void> {
    const deliveries = this.buffer;
    this.buffer = [];
    this.bell.ring();
    await this.release(deliveries);
  }

  private async release(deliveries: readonly Delivery[]): Promise<void> {
    try {
      await Promise.all(deliveries.map((delivery) => this.options.release(delivery)));
    } finally {
      this.end(deliveries);
    }
  }

  /** These are here no more. A queue that has room again is asked for at once. */
  private end(deliveries: readonly Delivery[]): void {
    const freed = deliveries.filter((delivery) => this.options.queues.end(delivery));
    if (freed.length > 0) this.askAnew();
  }
}
