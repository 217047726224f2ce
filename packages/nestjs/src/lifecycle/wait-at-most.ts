import type { Clock } from '@taskqueue/core';

/** Waits for the work, but no longer than so many milliseconds; then it goes on alone. Answers whether it ended. */
export async function waitAtMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const patience = new AbortController();
  const tooLong = clock.sleep(Math.max(0, ms), patience.signal).catch(() => undefined);
  try {
    return await Promise.race([work.then(() => true), tooLong.then(() => false)]);
  } finally {
    patience.abort();
  }
}
