import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Repeat } from '../async/repeat.js';
import { repeat } from '../async/repeat.js';
import type { Revocation, RevocationStore } from '../ports/revocations.js';

export interface RevocationListOptions {
  readonly store: RevocationStore | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 1 000. */
  readonly pollMs?: number;
  /** Called for each news, also for tasks this worker does not hold. */
  readonly onRevoked: (revocation: Revocation) => void;
}

/** Bound of the list; the oldest go first. The store keeps them all. */
const MOST_REMEMBERED = 100_000;

/**
 * The revoked ids as this worker knows them: read whole before the first task is taken, then polled. Messages that
 * wait in the broker are taken out by the store itself; this list is for those that a worker holds already, for
 * retries, and for brokers that cannot look into their queues.
 */
export class RevocationList {
  private readonly known = new Map<string, Revocation>();
  private marker: string | undefined;
  private loop: Repeat | undefined;

  constructor(private readonly options: RevocationListOptions) {}

  async start(): Promise<void> {
    const { store, clock, logger } = this.options;
    if (store === undefined) return;
    await this.poll(store);
    const pollMs = this.options.pollMs ?? 1_000;
    this.loop = repeat({
      clock,
      step: async () => {
        await this.poll(store);
        return pollMs;
      },
      onError: (error) => logger.warn(`Reading revocations failed and is tried again: ${String(error)}`, 'Revocations'),
    });
  }

  /** True when the task must not start. */
  has(taskId: string): boolean {
    const revocation = this.known.get(taskId);
    return revocation !== undefined && revocation.expiresAt > this.options.clock.now();
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  private async poll(store: RevocationStore): Promise<void> {
    const { revocations, marker } = await store.since(this.marker);
    this.marker = marker;
    for (const revocation of revocations) {
      this.known.delete(revocation.taskId);
      this.known.set(revocation.taskId, revocation);
      this.options.onRevoked(revocation);
    }
    for (const id of this.known.keys()) {
      if (this.known.size <= MOST_REMEMBERED) break;
      this.known.delete(id);
    }
  }
}
