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
 * tries again soon after a failure.
 */
async function run({ keepAlive, leaseMs }: LeaseThreadData): Promise<void> {
  const module = (await import(keepAlive.module)) as { keepAlive(data: unknown): Promise<KeepAliveLoop> };
  let loop: KeepAliveLoop | undefined;
  for (;;) {
    let waitMs = leaseMs / 3;
    try {
      loop ??= await module.keepAlive(keepAlive.data);
      if (!(await loop.renew(leaseMs))) {
        tell({ type: 'lost' });
        return;
      }
    } catch (error) {
      tell({ type: 'failed', error: String(error) });
      await loop?.close().catch(() => undefined);
      loop = undefined;
      waitMs = Math.min(1_000, leaseMs / 6);
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function tell(message: LeaseThreadMessage): void {
  parentPort?.postMessage(message);
}

await run(workerData as LeaseThreadData);
