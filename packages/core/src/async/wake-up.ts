import type { Clock } from '../ambient/clock.js';

/**
 * A level-triggered bell: `ring` before `wait` is not lost, many rings count as one. For loops that sleep until there
 * is work.
 */
export class WakeUp {
  private rung = false;
  private waiters: (() => void)[] = [];

  ring(): void {
    this.rung = true;
    const waiters = this.waiters;
    this.waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves at the next ring, at once if it rang since the last wait, after `ms`, or when the signal aborts. Never rejects. */
  wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (this.rung || signal.aborted) {
      this.rung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        this.waiters = this.waiters.filter((waiter) => waiter !== done);
        this.rung = false;
        resolve();
      };
      const timer = clock.timer(ms, done);
      signal.addEventListener('abort', done, { once: true });
      this.waiters.push(done);
    });
  }
}
