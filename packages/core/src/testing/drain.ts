import type { Clock } from '../ambient/clock.js';
import { UsageError } from '../errors/errors.js';
import type { QueueInspector } from '../ports/queue-inspector.js';
import type { Worker } from '../worker/worker.js';
import { FakeClock, nextTurns } from './fake-clock.js';

export interface DrainOptions {
  /** A worker that runs. */
  readonly worker: Pick<Worker, 'queues' | 'status'>;
  readonly inspector: QueueInspector | undefined;
  readonly clock: Clock;
}

/** Looks this often without a pause; after that, work waits for the real world and so do we. */
const QUICK_LOOKS = 50;

/**
 * Resolves when nothing is ready in the worker's queues and nothing runs, so that only what is due later is left. A
 * fake clock is not moved: what waits for it is waited for, until someone moves it. Resolves as well when the worker was
 * stopped.
 */
export async function drained({ worker, inspector, clock }: DrainOptions): Promise<void> {
  if (inspector === undefined) {
    throw new UsageError({ code: 'CAPABILITY_UNSUPPORTED', message: 'Draining needs a driver with an inspector.' });
  }
  for (let looks = 0; ; looks += 1) {
    await (clock instanceof FakeClock ? clock.settle() : nextTurns());
    if (worker.status().state === 'stopped' || (await isIdle(worker, inspector))) return;
    if (looks >= QUICK_LOOKS) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function isIdle(worker: DrainOptions['worker'], inspector: QueueInspector): Promise<boolean> {
  const queues = (await inspector.queues()).filter(({ name, paused }) => worker.queues.includes(name) && !paused);
  const { active, buffered } = worker.status();
  return active + buffered === 0 && queues.every(({ ready, leased = 0 }) => ready + leased === 0);
}
