import type { Clock } from '@taskqueue/core';

const FRESH_MS = 1_000;

/** Work that asks a store, done once a second at most: whoever asks meanwhile gets the same answer. */
export function onceASecond<T>(clock: Clock, work: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return () => {
    const now = clock.monotonic();
    if (last === undefined || now - last.at >= FRESH_MS) last = { at: now, answer: work() };
    return last.answer;
  };
}
