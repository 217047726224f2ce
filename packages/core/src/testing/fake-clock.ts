import type { Clock, ClockTimer } from '../ambient/clock.js';
import { sleepOn, systemClock } from '../ambient/clock.js';
import type { Duration } from '../config/duration.js';
import { toMilliseconds } from '../config/duration.js';

interface PendingTimer {
  readonly at: number;
  readonly callback: () => void;
}

/** Turns of the event loop after which code that waits for nothing outside has come to rest. */
const TURNS = 6;

/**
 * A clock that stands still until it is moved. Timers run in the order of their instants, and between two instants
 * everything that waits for a promise or an immediate goes on, so a loop that sleeps again is found sleeping.
 */
export class FakeClock implements Clock {
  private readonly startedAt: number;
  private elapsed = 0;
  /** In the order in which they were set. */
  private readonly timers = new Set<PendingTimer>();
  private moving: Promise<void> = Promise.resolve();

  /** `now`: where it stands at first. Default: the real time. */
  constructor(now: Date | number = systemClock.now()) {
    this.startedAt = typeof now === 'number' ? now : now.getTime();
  }

  now(): number {
    return this.startedAt + this.elapsed;
  }

  monotonic(): number {
    return this.elapsed;
  }

  timer(ms: number, callback: () => void): ClockTimer {
    const timer = { at: this.elapsed + Math.max(0, ms), callback };
    if (Number.isFinite(timer.at)) this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  /**
   * Moves on by `duration`, running every timer that falls due, also those that are set on the way. Calls follow one
   * another, so one that is not awaited adds to the next. Work that waits for the real world (files, sockets) is not
   * waited for.
   */
  advance(duration: Duration): Promise<void> {
    const ms = toMilliseconds(duration, 'advance');
    this.moving = this.moving.then(() => this.move(ms));
    return this.moving;
  }

  /** Lets everything go on that needs no time, and runs the timers that are due now. */
  async settle(): Promise<void> {
    await this.runUntil(this.elapsed);
  }

  /** Timers that have not run. */
  get pending(): number {
    return this.timers.size;
  }

  private async move(ms: number): Promise<void> {
    const target = this.elapsed + ms;
    await this.runUntil(target);
    this.elapsed = target;
  }

  private async runUntil(target: number): Promise<void> {
    await nextTurns();
    for (let due = this.nextDue(target); due.length > 0; due = this.nextDue(target)) {
      for (const timer of due) {
        // One of them may have cancelled another.
        if (!this.timers.delete(timer)) continue;
        this.elapsed = Math.max(this.elapsed, timer.at);
        timer.callback();
      }
      await nextTurns();
    }
  }

  /** The timers of the earliest instant up to `target`, in the order in which they were set. */
  private nextDue(target: number): PendingTimer[] {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { at } of this.timers) earliest = Math.min(earliest, at);
    if (earliest > target) return [];
    return [...this.timers].filter(({ at }) => at === earliest);
  }
}

/** Lets code that waits for nothing outside come to rest. */
export async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
