import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { WakeUp } from '../async/wake-up.js';
import type { Consumer } from '../ports/broker.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Lookahead } from './lookahead.js';

export interface FetcherOptions {
  readonly consumer: Consumer;
  readonly pool: ExecutionPool;
  readonly leases: LeaseKeeper;
  readonly lookahead: Lookahead;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseMs: number;
  /** Starts a delivery in a slot that is free. Never rejects. */
  readonly execute: (delivery: Delivery) => void;
  /** Gives a delivery back that was not started. */
  readonly release: (delivery: Delivery) => Promise<unknown>;
}

/** A message leased ahead that waits longer than this for a slot is given back, and so are those behind it. */
const LONGEST_WAIT_FOR_SLOT_MS = 250;

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
  /** Monotonic time at which the buffer was last filled. */
  private filledAt = 0;
  private unlisten: (() => void) | undefined;
  private lastSuccess: number | undefined;
  private paused = false;
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
    await this.giveBack();
    await this.loop;
    await this.giveBack();
  }

  /** Takes and starts nothing more until `resume`; what was leased ahead is given back. Running tasks go on. */
  pause(): void {
    this.paused = true;
    this.receiving.abort();
    void this.giveBack();
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
      if (want === 0) {
        await this.bell.wait(clock, 60_000, signal);
        continue;
      }
      try {
        const deliveries = await this.options.consumer.receive({ max: want, signal: this.receiving.signal });
        this.lastSuccess = clock.monotonic();
        failures = 0;
        if (deliveries.length > 0) this.take(deliveries);
        if (this.paused) await this.giveBack();
      } catch (error) {
        if (this.receiving.signal.aborted) continue;
        failures += 1;
        const waitMs = Math.min(5_000, 100 * 2 ** Math.min(failures, 10));
        if (failures <= 3 || failures % 20 === 0) {
          logger.warn(`The broker cannot be reached; next try in ${waitMs} ms: ${String(error)}`, 'Fetcher');
        }
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  private want(): number {
    if (this.paused) return 0;
    const { pool, lookahead } = this.options;
    const ahead = lookahead.size(pool.size);
    const capacity = pool.idle + ahead - this.buffer.length;
    // No trickle: while something is buffered, ask again when half of it is used up.
    if (this.buffer.length > 0 && this.buffer.length > ahead / 2) return 0;
    return Math.max(0, capacity);
  }

  private take(deliveries: readonly Delivery[]): void {
    this.options.leases.hold(deliveries);
    this.filledAt = this.options.clock.monotonic();
    // A message that was lost before comes alone and starts first, so that its blame is its own.
    const suspects = deliveries.filter((delivery) => (delivery.lostLeases ?? 0) > 0);
    const fresh = deliveries.filter((delivery) => (delivery.lostLeases ?? 0) === 0);
    this.buffer = [...suspects, ...this.buffer, ...fresh];
    this.drain();
  }

  /** What was leased may not be ours any more. */
  discard(deliveries: readonly Delivery[]): void {
    this.buffer = this.buffer.filter((delivery) => !deliveries.includes(delivery));
    this.bell.ring();
  }

  /** A slot became idle, or a delivery ended without one. */
  refill(): void {
    this.drain();
    if (this.want() > 0) this.bell.ring();
  }

  private drain(): void {
    if (this.stopping.signal.aborted || this.paused || this.buffer.length === 0) return;
    if (this.isStale()) {
      void this.giveBack();
      return;
    }
    const starting = this.buffer.splice(0, Math.min(this.buffer.length, this.options.pool.idle));
    this.started += starting.length;
    for (const delivery of starting) this.options.execute(delivery);
    if (this.buffer.length > 0 && this.watch === undefined) this.watchBuffer(this.started);
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

  private async giveBack(): Promise<void> {
    const deliveries = this.buffer;
    this.buffer = [];
    this.bell.ring();
    await Promise.all(deliveries.map((delivery) => this.options.release(delivery)));
  }
}
