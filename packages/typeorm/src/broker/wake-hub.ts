import type { Logger } from '@taskqueue/core';
import type { SqlStore } from '../sql/sql-store.js';

export interface WakeHubOptions {
  readonly store: SqlStore;
  /** Longest time between two looks for the next due message, milliseconds. */
  readonly pollMs: number;
  readonly logger: () => Logger;
}

/** Somebody who waits for work. */
export interface Bell {
  /** There may be work. */
  ring(): void;
  /** Messages of any age have become ready. */
  promoted(): void;
}

/** Due messages are made ready in batches of this size. */
const BATCH = 1_000;
/** Shortest time between two batches that were not full; gathers what falls due one after another. */
const GATHER_MS = 10;

/**
 * Wakes this process's waiting consumers, and makes delayed messages ready when they fall due. It works only while
 * somebody waits or works here:
 *
 * ```text
 *   STOPPED ──first consumer──► LOOKING (promote what is due) ──► SLEEPING until the next due instant, at most pollMs
 *      ▲                           ▲                                 │  notification, own publication
 *      └──────last consumer────────┴─────────────────────────────────┘
 * ```
 */
export class WakeHub {
  private readonly bells = new Set<Bell>();
  private timer: NodeJS.Timeout | undefined;
  private looking = false;
  private again = false;
  private wakeAt = Infinity;
  private failing = false;
  /** This look was timed by a message that falls due. */
  private wasDue = false;

  constructor(private readonly options: WakeHubOptions) {}

  /** Calls `bell` whenever there may be work, until the returned function is called. */
  attach(bell: Bell): () => void {
    this.bells.add(bell);
    if (this.bells.size === 1) this.sleep(0);
    return () => {
      this.bells.delete(bell);
      if (this.bells.size > 0) return;
      clearTimeout(this.timer);
      this.wakeAt = Infinity;
    };
  }

  /** Something was published, here or elsewhere. */
  ring(): void {
    for (const bell of this.bells) bell.ring();
  }

  /** The same, and it may fall due sooner than anything known. */
  ringAndLook(): void {
    this.ring();
    this.lookWithin(0);
  }

  /** A message was published here that falls due in `ms`. */
  lookWithin(ms: number): void {
    if (this.bells.size === 0) return;
    if (this.looking) this.again = true;
    else if (performance.now() + ms < this.wakeAt) this.sleep(ms);
  }

  private sleep(ms: number): void {
    clearTimeout(this.timer);
    this.wakeAt = performance.now() + ms;
    this.timer = setTimeout(() => void this.look(), ms);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    this.again = false;
    let pause = this.options.pollMs;
    try {
      const { dialect } = this.options.store;
      const { promoted, nextInMs } = await this.options.store.once(() => dialect.promote(BATCH));
      // Another process may have been quicker with what fell due.
      if (promoted > 0 || this.wasDue) for (const bell of this.bells) bell.promoted();
      if (promoted > 0) this.ring();
      this.wasDue = nextInMs !== undefined && nextInMs < pause;
      if (promoted >= BATCH) pause = 0;
      else if (nextInMs !== undefined) pause = Math.min(pause, Math.max(GATHER_MS, nextInMs));
      this.failing = false;
    } catch (error) {
      if (!this.failing)
        this.options.logger().warn(`Looking for due messages failed and is tried again: ${String(error)}`, 'TaskQueue');
      this.failing = true;
    } finally {
      this.looking = false;
      if (this.bells.size > 0) this.sleep(this.again ? GATHER_MS : pause);
    }
  }
}
