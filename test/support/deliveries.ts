import type { Consumer, Delivery, Logger, Settlement } from '@taskqueue/core';

/** Receives until `count` deliveries have come; throws after `timeoutMs`. */
export async function take(consumer: Consumer, count: number, timeoutMs = 10_000): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  const signal = AbortSignal.timeout(timeoutMs);
  while (taken.length < count) {
    if (signal.aborted) throw new Error(`${taken.length} of ${count} deliveries came within ${timeoutMs} ms`);
    // An outage fails a call; workers try again as well.
    taken.push(...(await consumer.receive({ max: count - taken.length, signal }).catch(() => [])));
  }
  return taken;
}

export const ack = (delivery: Delivery): Settlement => ({ kind: 'ack', delivery });

export function idOf(delivery: Delivery | undefined): unknown {
  return delivery?.message.headers['id'];
}

/** Keeps every line, whatever its level. */
export function recordingLogger(log: string[]): Logger {
  const write = (message: string): void => void log.push(message);
  return { fatal: write, error: write, warn: write, log: write, debug: write, verbose: write };
}
