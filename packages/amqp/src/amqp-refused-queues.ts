import type { Logger, TaskQueueError } from '@taskqueue/core';
import { isTaskQueueError } from '@taskqueue/core';
import type { AmqpTopology } from './amqp-topology.js';

/** A refused queue is tried again after this long. */
const AGAIN_MS = 10_000;

interface Refusal {
  readonly error: TaskQueueError;
  /** Monotonic. */
  readonly at: number;
}

/**
 * Queues of a worker that somebody has deleted and declared with other arguments while it works:
 *
 * ```text
 *   CONSUMED ──QUEUE_MISMATCH──► REFUSED, said once ──after 10 s──► declared again ──works──► CONSUMED
 *                                   ▲                                     │
 *                                   └────────────QUEUE_MISMATCH───────────┘
 * ```
 *
 * Its other queues go on meanwhile. Where none is left the error is the worker's, which tries again by itself.
 */
export class AmqpRefusedQueues {
  private readonly refusals = new Map<string, Refusal>();

  constructor(private readonly options: { readonly topology: AmqpTopology; readonly logger: () => Logger }) {}

  /** Is it left alone for now? */
  has(queue: string): boolean {
    const refusal = this.refusals.get(queue);
    return refusal !== undefined && performance.now() - refusal.at < AGAIN_MS;
  }

  /** Declares the queues but those that are left alone. Rejects with BrokerError; with QUEUE_MISMATCH when no queue is left. */
  async ensure(queues: readonly string[]): Promise<void> {
    await Promise.all(queues.filter((queue) => !this.has(queue)).map((queue) => this.declare(queue)));
    if (queues.length === 0 || queues.some((queue) => !this.has(queue))) return;
    const errors = [...this.refusals].map(([queue, { error }]) => {
      this.refusals.set(queue, { error, at: -Infinity });
      return error;
    });
    throw errors[0] as TaskQueueError;
  }

  private async declare(queue: string): Promise<void> {
    try {
      await this.options.topology.ensureQueue(queue);
      this.refusals.delete(queue);
    } catch (error) {
      if (!isTaskQueueError(error, 'QUEUE_MISMATCH')) throw error;
      if (!this.refusals.has(queue)) this.say(queue, error);
      this.refusals.set(queue, { error, at: performance.now() });
    }
  }

  private say(queue: string, { code, message }: TaskQueueError): void {
    const text = `Nothing is taken from the queue ${queue}, which is tried again every ten seconds`;
    this.options.logger().error(`${text}: ${code}: ${message}`, undefined, 'TaskQueue');
  }
}
