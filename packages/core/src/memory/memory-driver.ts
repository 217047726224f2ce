import type { Clock } from '../ambient/clock.js';
import { systemClock } from '../ambient/clock.js';
import type { Driver } from '../ports/driver.js';
import type { Logger } from '../ambient/logger.js';
import { silentLogger } from '../ambient/logger.js';
import { MemoryBarriers } from './memory-barriers.js';
import { MemoryBroker } from './memory-broker.js';
import { MemoryInspector } from './memory-inspector.js';
import { MemoryLocks } from './memory-locks.js';
import { MemoryPubSub } from './memory-pub-sub.js';
import { MemoryResults } from './memory-results.js';
import { MemoryRevocations } from './memory-revocations.js';
import { MemorySchedules } from './memory-schedules.js';
import { MemoryState } from './memory-state.js';

/** Options of {@link memoryDriver}. */
export interface MemoryDriverOptions {
  /** Default: the real clock. */
  readonly clock?: Clock;
}

/**
 * Everything in this process's memory: the reference of what every driver must do, and what tests run on. Nothing
 * survives the process. Two drivers share nothing.
 */
export function memoryDriver(options: MemoryDriverOptions = {}): Driver {
  const state = new MemoryState(options.clock ?? systemClock);
  const results = new MemoryResults(state);
  const broker = new MemoryBroker(state, results);
  const locks = new MemoryLocks(state.clock);
  let logger: Logger = silentLogger;
  return {
    name: 'memory',
    contract: 1,
    broker,
    results,
    revocations: new MemoryRevocations(state, results),
    schedules: new MemorySchedules(state, broker, locks),
    inspector: new MemoryInspector(state),
    locks,
    barriers: new MemoryBarriers(state.clock),
    pubsub: new MemoryPubSub(() => logger),
    describe: () => 'memory:',
    connect: (context) => {
      logger = context.logger;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
    ping: () => Promise.resolve(),
  };
}
