import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Repeat } from '../async/repeat.js';
import { repeat } from '../async/repeat.js';
import type { AutoscaleRange } from '../config/autoscale.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { QueueInspector } from '../ports/queue-inspector.js';
import type { ScaleMemory } from './autoscale-decision.js';
import { decideSize, firstMemory } from './autoscale-decision.js';
import type { ConsumedQueues } from './consumed-queues.js';

export interface AutoscalerOptions {
  readonly pool: ExecutionPool;
  readonly range: AutoscaleRange;
  readonly queues: ConsumedQueues;
  /** Tells how much waits; absent: one more than there is room for, while all slots are in use. */
  readonly inspector: QueueInspector | undefined;
  /** How many tasks ran at once at most since it was asked last. */
  readonly takePeak: () => number;
  /** Leased, and without a slot. */
  readonly buffered: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Two samples that see tasks wait make the pool grow, within a second. */
const SAMPLE_MS = 400;

/**
 * Looks at the pool every 400 ms and gives it the size that `decideSize` says. The queues are asked for their length only while
 * all slots are in use, and nothing that is paused, or has no room under its own limit, counts as waiting.
 */
export class Autoscaler {
  private loop: Repeat | undefined;
  private current: AutoscaleRange;
  private memory: ScaleMemory;
  private stopped = false;

  constructor(private readonly options: AutoscalerOptions) {
    this.current = options.range;
    this.memory = firstMemory(options.clock.monotonic());
  }

  get range(): AutoscaleRange {
    return this.current;
  }

  /** From now on within these. */
  change(range: AutoscaleRange): void {
    this.current = range;
    this.loop?.wake();
  }

  start(): void {
    const { clock, logger } = this.options;
    this.memory = firstMemory(clock.monotonic());
    this.loop = repeat({
      clock,
      step: async () => {
        await this.step();
        return SAMPLE_MS;
      },
      onError: (error) =>
        logger.warn(`Looking how much waits failed and is tried again: ${String(error)}`, 'Autoscaler'),
    });
  }

  /** Nothing changes from now on. Not awaited: a look under way may wait for a store that is away. */
  stop(): void {
    this.stopped = true;
    void this.loop?.stop();
  }

  private async step(): Promise<void> {
    const { pool, clock, logger, takePeak } = this.options;
    const busy = takePeak();
    const waiting = pool.idle > 0 || busy < pool.size ? 0 : await this.waiting();
    const { size } = pool;
    const decision = decideSize({ at: clock.monotonic(), size, busy, waiting }, this.memory, this.current);
    this.memory = decision.memory;
    if (decision.size === size || this.stopped) return;
    const why = decision.size > size ? `${waiting} task(s) wait` : 'it is quiet';
    logger.log(`The pool goes from ${size} to ${decision.size} slot(s): ${why}.`, 'Autoscaler');
    pool.resize(decision.size);
  }

  private async waiting(): Promise<number> {
    const { inspector, queues, buffered } = this.options;
    if (inspector === undefined) return 1 + buffered();
    const names = new Set(queues.names.filter((queue) => queues.room(queue) > 0));
    const facts = (await inspector.queues()).filter(({ name, paused }) => !paused && names.has(name));
    return facts.reduce((sum, { name, ready }) => sum + Math.min(ready, queues.room(name)), buffered());
  }
}
