import type { Logger } from '@taskqueue/core';
import { isTaskQueueError, systemClock } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import type { AmqpFleet } from './amqp-fleet.js';
import type { AmqpPublisher } from './amqp-publisher.js';
import type { AmqpTopology } from './amqp-topology.js';
import { pausedQueue } from './amqp-topology.js';

export interface AmqpGateOptions {
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly publisher: AmqpPublisher;
  readonly fleet: AmqpFleet;
  readonly logger: () => Logger;
}

/** What the server said last, and on which connection. */
interface Looked {
  readonly paused: boolean;
  readonly generation: number;
  /** Monotonic. */
  readonly at: number;
}

/** Whoever is not told of a pause finds out after this long. */
const LOOK_AGAIN_MS = 10_000;
/** A pause waits at most so long for workers to leave the queue, and looks so often. */
const LEAVE_MS = 1_000;
const LEFT_MS = 20;

/**
 * Which queues are paused. AMQP knows no such thing, and a worker that starts tomorrow has to obey as well, so the state is
 * kept in the broker: `taskqueue.paused.<queue>` is a durable queue for at most one message, and the queue is paused
 * exactly when there is one.
 *
 * ```text
 *   pause:  publish one persistent message there ──┐
 *   resume: purge it ──────────────────────────────┴──► tell the fleet ──► every worker looks
 *   look:   declare it, which answers how many are in it: at the start, on each new connection, when told, every 10 s at work
 * ```
 *
 * Looking publishes nothing, so that a worker can also start while an alarm blocks publishers; pausing cannot be done then.
 * Python's workers know nothing of it.
 */
export class AmqpGate {
  private readonly looked = new Map<string, Looked>();
  private readonly looking = new Map<string, Promise<boolean>>();
  private readonly listeners = new Set<(queue: string) => void>();
  private hasWarned = false;

  constructor(private readonly options: AmqpGateOptions) {}

  /** Has it been looked at on this connection? */
  knows(queue: string): boolean {
    return this.looked.get(queue)?.generation === this.options.connection.generation;
  }

  isPaused(queue: string): boolean {
    return this.looked.get(queue)?.paused === true;
  }

  /** Asks the server. Where the user may not, the queue counts as open. */
  look(queue: string): Promise<boolean> {
    let answer = this.looking.get(queue);
    if (answer === undefined) {
      answer = this.ask(queue).finally(() => this.looking.delete(queue));
      this.looking.set(queue, answer);
    }
    return answer;
  }

  /** Somebody has paused or resumed it. */
  told(queue: string): void {
    const answer = this.looking.get(queue);
    if (answer === undefined && !this.looked.has(queue)) return;
    // What is being answered may be of the time before.
    Promise.resolve(answer)
      .catch(() => undefined)
      .then(() => this.look(queue))
      .catch(() => undefined);
  }

  /** Looks again at what was not looked at for a while, without anybody waiting for it. */
  lookAgain(queues: readonly string[]): void {
    const before = performance.now() - LOOK_AGAIN_MS;
    for (const queue of queues) {
      const looked = this.looked.get(queue);
      if (looked !== undefined && looked.at < before) this.look(queue).catch(() => undefined);
    }
  }

  /** Resolves when our workers have left the queue, or after a second. Rejects with BrokerError. */
  async pause(queue: string): Promise<void> {
    const { topology, publisher, fleet } = this.options;
    await topology.pausedCount(queue);
    const [outcome] = await publisher.send([
      {
        queue: undefined,
        waitsIn: undefined,
        exchange: '',
        key: pausedQueue(queue),
        body: Buffer.from('paused'),
        options: { mandatory: true, deliveryMode: 2, messageId: queue },
      },
    ]);
    if (outcome !== undefined && 'error' in outcome) throw outcome.error;
    await this.look(queue);
    await fleet.tell({ kind: 'gate', queue });
    await this.untilLeft(queue);
  }

  /** Rejects with BrokerError. */
  async resume(queue: string): Promise<void> {
    const { topology, fleet } = this.options;
    await topology.pausedCount(queue);
    await topology.run((channel) => channel.purgeQueue(pausedQueue(queue)));
    await this.look(queue);
    await fleet.tell({ kind: 'gate', queue });
  }

  /** Calls back when a queue is paused or resumed, as far as it is looked at. */
  onChange(listener: (queue: string) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Until nobody is subscribed to it any more; Python's workers stay, and are waited for in vain. */
  private async untilLeft(queue: string): Promise<void> {
    const until = performance.now() + LEAVE_MS;
    while (performance.now() < until) {
      const { consumerCount } = await this.options.topology.run((channel) => channel.checkQueue(queue));
      if (consumerCount === 0) return;
      await systemClock.sleep(LEFT_MS);
    }
  }

  private async ask(queue: string): Promise<boolean> {
    const { connection } = this.options;
    const { generation } = connection;
    const paused = (await this.count(queue)) > 0;
    const before = this.isPaused(queue);
    this.looked.set(queue, { paused, generation, at: performance.now() });
    if (before !== paused) for (const listener of this.listeners) listener(queue);
    return paused;
  }

  private async count(queue: string): Promise<number> {
    try {
      return await this.options.topology.pausedCount(queue);
    } catch (error) {
      if (!isTaskQueueError(error, 'CAPABILITY_UNSUPPORTED')) throw error;
      if (!this.hasWarned) {
        this.options.logger().warn(`Pauses of queues are not seen by this process: ${error.message}`, 'TaskQueue');
      }
      this.hasWarned = true;
      return 0;
    }
  }
}
