import type { Work } from './sql-store.js';

/**
 * Does `work` for each item in the order of `key`, so that transactions that lock several rows lock them in one order
 * and never wait for each other in a circle. Answers in the order of the items.
 */
export function* eachInOrder<T, R>(
  items: readonly T[],
  key: (item: T) => string | number,
  work: (item: T) => Work<R>,
): Work<R[]> {
  const sorted = items
    .map((item, index) => ({ item, index, key: key(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index));
  const results: R[] = [];
  for (const { item, index } of sorted) results[index] = yield* work(item);
  return results;
}
