import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Repeat } from '../async/repeat.js';
import { repeat } from '../async/repeat.js';
import type { Broker } from '../ports/broker.js';
import type { ResultBackend } from '../ports/result-backend.js';

export interface RecovererOptions {
  readonly broker: Broker;
  readonly results: ResultBackend | undefined;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 to 1; spreads the workers of a fleet. */
  readonly random: () => number;
  /** Renews this worker's own leases. */
  readonly renew: () => Promise<void>;
}

/** Expired results are removed about this often by each worker. */
const CLEAN_UP_EVERY_MS = 60_000;

/** Returns to the queue what dead workers left behind, and removes what has expired. Every worker runs one. */
export class Recoverer {
  private readonly loops: Repeat[] = [];

  constructor(private readonly options: RecovererOptions) {}

  start(): void {
    const { broker, results, leaseMs, clock, logger, random, renew } = this.options;
    const run = (what: string, everyMs: number, work: () => Promise<void>): void => {
      this.loops.push(
        repeat({
          clock,
          step: async () => {
            await work();
            return everyMs * (0.75 + random() / 2);
          },
          onError: (error) => logger.warn(`${what} failed and is tried again: ${String(error)}`, 'Recoverer'),
        }),
      );
    };
    if (broker.recover !== undefined) {
      run('Recovering lost leases', leaseMs / 3, async () => {
        // After an outage of the store our own leases may look dead as well.
        await renew();
        const report = await broker.recover?.();
        if (report !== undefined && report.recovered > 0) {
          logger.warn(`${report.recovered} task(s) of lost workers went back to their queues.`, 'Recoverer');
        }
      });
    }
    if (results?.cleanUp !== undefined) {
      run('Removing expired results', CLEAN_UP_EVERY_MS, async () => {
        await results.cleanUp?.();
      });
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.splice(0).map((loop) => loop.stop()));
  }
}
