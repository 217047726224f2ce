import type { PreparedSettlement } from './settlement-arguments.js';

/** Settlements with more to them than an acknowledgement, of one call, at most. */
const LARGEST_SETTLE = 100;
const LONGEST_SETTLE = 2 * 1024 * 1024;

/** In a cluster each call keeps to one queue, and what goes to another one goes alone. */
export function settlementBatches(
  settlements: readonly PreparedSettlement[],
  isCluster: boolean,
): readonly (readonly PreparedSettlement[])[] {
  const batches: PreparedSettlement[][] = [];
  let size = 0;
  for (const one of inOrder(settlements)) {
    const last = batches.at(-1);
    const isFull = last === undefined || last.length >= LARGEST_SETTLE || size >= LONGEST_SETTLE;
    if (isFull || (isCluster && (crosses(one) || crosses(last[0]) || last[0]?.receipt.queue !== one.receipt.queue))) {
      batches.push([one]);
      size = one.size;
    } else {
      last.push(one);
      size += one.size;
    }
  }
  return batches;
}

function crosses(settlement: PreparedSettlement | undefined): boolean {
  if (settlement === undefined) return false;
  const { next, receipt, results, followUps } = settlement;
  return (next !== undefined && next.queue !== receipt.queue) || results.length + followUps.length > 0;
}

/** What is given back goes to the end that is taken next: newest first, so that the oldest is the first again. */
function inOrder(settlements: readonly PreparedSettlement[]): readonly PreparedSettlement[] {
  const released = settlements.filter((one) => one.kind === 'release');
  if (released.length === 0) return settlements;
  released.sort((a, b) => b.receipt.number - a.receipt.number);
  return [...settlements.filter((one) => one.kind !== 'release'), ...released];
}
