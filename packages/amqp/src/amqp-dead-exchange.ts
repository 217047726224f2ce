import type { EncodedMessage, Logger, PubSub } from '@taskqueue/core';
import { isTaskQueueError } from '@taskqueue/core';
import { within } from './amqp-connection.js';

/** Where it is told, with the name of its queue as the key, what became a dead letter. */
export const DEAD_EXCHANGE = 'taskqueue.dead';

const CLOSE_PATIENCE_MS = 1_000;

/**
 * Tells of dead letters, to whoever has bound a queue:
 *
 * ```text
 *   settle ─► exchange "" ─► taskqueue.dead.<queue> ─confirmed─► original acknowledged
 *                                                        └─────► copy: exchange taskqueue.dead (topic), key <queue>
 * ```
 *
 * A copy, and not the letter itself: the broker takes a message as routed when any queue took it, as refused when one of them
 * was full, and confirms it when the slowest has it. With queues of others bound to the exchange, a letter whose own
 * queue had been deleted would be with them alone, and one full queue of theirs would keep tasks from ever ending here.
 */
export class AmqpDeadExchange {
  private readonly underWay = new Set<Promise<void>>();
  private hasWarned = false;

  constructor(private readonly options: { readonly pubsub: PubSub; readonly logger: () => Logger }) {}

  /** `letter` is in its queue. What cannot be told is tried once more, and then left. */
  tell(queue: string, letter: EncodedMessage): void {
    const telling = this.publish(queue, letter).finally(() => this.underWay.delete(telling));
    this.underWay.add(telling);
  }

  /** Waits a moment for what is under way. */
  async close(): Promise<void> {
    await within(CLOSE_PATIENCE_MS, Promise.all(this.underWay)).catch(() => undefined);
  }

  private async publish(queue: string, message: EncodedMessage): Promise<void> {
    const { pubsub } = this.options;
    const publication = { channel: { exchange: DEAD_EXCHANGE, kind: 'topic', key: queue }, message } as const;
    try {
      // The exchange may have been deleted, which the first try finds out.
      await pubsub.publish([publication]).catch(() => pubsub.publish([publication]));
    } catch (error) {
      this.say(`Who listens on the exchange ${DEAD_EXCHANGE} was not told of a dead letter of ${queue}`, error);
    }
  }

  private say(what: string, error: unknown): void {
    const isLasting = isTaskQueueError(error) && !error.retryable;
    const text = `${what}: ${isTaskQueueError(error) ? `${error.code}: ` : ''}${String((error as Error).message)}`;
    if (isLasting && !this.hasWarned) this.options.logger().warn(text, 'TaskQueue');
    else this.options.logger().debug(text, 'TaskQueue');
    this.hasWarned ||= isLasting;
  }
}
