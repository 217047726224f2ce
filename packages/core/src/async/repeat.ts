import type { Clock, ClockTimer } from '../ambient/clock.js';

/**
 * Runs `step` again and again: `step` answers in how many milliseconds to come back. One run at a time; an error goes
 * to `onError` and the next run follows after a backoff that grows from 100 ms to `maxBackoffMs` and is reset by the
 * next success. `stop` waits for the run in progress.
 */
export interface RepeatOptions {
  readonly clock: Clock;
  readonly step: () => Promise<number>;
  readonly onError: (error: unknown) => void;
  /** Default 5 000. */
  readonly maxBackoffMs?: number;
}

/** A step that is repeated until it is stopped. */
export interface Repeat {
  /** Comes back at once, or right after the run in progress. */
  wake(): void;
  stop(): Promise<void>;
}

/** Begins to repeat a step, at once; each call says when the next one is due. See {@link RepeatOptions}. */
export function repeat(options: RepeatOptions): Repeat {
  const { clock, step, onError } = options;
  const maxBackoffMs = options.maxBackoffMs ?? 5_000;
  let timer: ClockTimer | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;
  let again = false;
  let failures = 0;

  const schedule = (ms: number): void => {
    if (stopped) return;
    timer?.cancel();
    timer = clock.timer(again ? 0 : ms, run, { unref: false });
    again = false;
  };
  const run = (): void => {
    timer = undefined;
    running = step()
      .then(
        (ms) => {
          failures = 0;
          return ms;
        },
        (error: unknown) => {
          failures += 1;
          onError(error);
          return Math.min(maxBackoffMs, 100 * 2 ** Math.min(failures, 16));
        },
      )
      .then((ms) => {
        running = undefined;
        schedule(ms);
      });
  };
  schedule(0);
  return {
    wake() {
      if (stopped) return;
      if (running === undefined) schedule(0);
      else again = true;
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
    },
  };
}
