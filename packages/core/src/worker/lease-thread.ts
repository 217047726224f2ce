import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { KeepAlive, KeepAliveLoop } from '../ports/broker.js';

/** What the lease thread tells the worker. */
export type LeaseThreadMessage = { readonly type: 'lost' } | { readonly type: 'failed'; readonly error: string };

interface LeaseThreadData {
  readonly keepAlive: KeepAlive;
  readonly leaseMs: number;
}

/**
 * Runs in a thread of its own, so that leases live while the main thread computes. Renews every third of a lease and
 * tries again soon after a failure. Any message from the worker ends it: a thread that is terminated from outside while
 * it is inside a native library can take the process down.
 */
async function run({ keepAlive, leaseMs }: LeaseThreadData): Promise<void> {
  const module = (await import(keepAlive.module)) as { keepAlive(data: unknown): Promise<KeepAliveLoop> };
  const stop = new AbortController();
  parentPort?.once('message', () => stop.abort());
  let loop: KeepAliveLoop | undefined;
  while (!stop.signal.aborted) {
    let waitMs = leaseMs / 3;
    try {
      loop ??= await module.keepAlive(keepAlive.data);
      if (!(await loop.renew(leaseMs))) {
        tell({ type: 'lost' });
        break;
      }
    } catch (error) {
      tell({ type: 'failed', error: String(error) });
      await loop?.close().catch(() => undefined);
      loop = undefined;
      waitMs = Math.min(1_000, leaseMs / 6);
    }
    await sleep(waitMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  await loop?.close().catch(() => undefined);
}

function tell(message: LeaseThreadMessage): void {
  parentPort?.postMessage(message);
}

await run(workerData as LeaseThreadData);
