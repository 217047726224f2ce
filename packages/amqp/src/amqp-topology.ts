import type { Channel } from 'amqplib';
import { BrokerError, isTaskQueueError, showValue } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { AmqpDeclarations } from './amqp-declarations.js';
import { delayedPattern, HOME_EXCHANGE, HOMELESS } from './amqp-delay.js';
import { isNotFound, REPLY_CODES, replyCode } from './amqp-errors.js';
import type { AmqpQueueType, ResolvedAmqpOptions } from './amqp-options.js';

/**
 * Declares what messages pass through, as Celery does:
 *
 * ```text
 *   exchange <queue> (direct, durable) ──<queue>──► queue <queue> (durable)     publishers use the exchange "" all the same
 *   celery_delayed_27 … celery_delayed_delivery ──► taskqueue.delayed ──28 bits and <queue>──► queue <queue>       see amqp-delay.ts
 *   queue taskqueue.dead.<queue> (durable)                                      ours, through the exchange ""; see amqp-dead-exchange.ts
 *   queue taskqueue.paused.<queue> (durable, at most one message)               ours; see amqp-gate.ts
 * ```
 *
 * What was declared is remembered; see amqp-declarations.ts.
 */
export class AmqpTopology {
  private readonly declarations: AmqpDeclarations;
  private readonly declared = new Set<string>();

  constructor(
    private readonly connection: AmqpConnection,
    private readonly options: ResolvedAmqpOptions,
  ) {
    this.declarations = new AmqpDeclarations(connection, {
      patienceMs: PATIENCE_MS,
      onNotFound: () => this.forgetAll(),
    });
  }

  /** Is the queue known to be there? Then nothing needs to be awaited. */
  has(queue: string): boolean {
    return this.declarations.isDone(queue);
  }

  /** Every queue for tasks that was declared here, however long ago. */
  get queues(): ReadonlySet<string> {
    return this.declared;
  }

  /** Rejects with QUEUE_MISMATCH for a queue that exists with other arguments. */
  ensureQueue(queue: string): Promise<void> {
    return twice(async () => {
      const isBound = await this.tryHomes();
      await this.declarations.once(queue, (channel) => this.declareQueue(channel, queue, isBound));
    });
  }

  /** The last steps of what was delayed, which all queues share. */
  ensureHomes(): Promise<void> {
    return this.declarations.once(HOMES_KEY, declareHomes);
  }

  /** The queue of the dead letters of `queue`. */
  async ensureDead(queue: string): Promise<void> {
    const name = deadQueue(queue);
    await this.declarations.once(name, async (channel) => {
      await this.assertOwn(channel, name, deadArguments(this.options.queueType, this.connection.serverIs(4)));
    });
  }

  /** Messages that are ready in a queue; undefined when there is no such queue. */
  async count(queue: string): Promise<number | undefined> {
    try {
      const { messageCount } = await this.run((channel) => channel.checkQueue(queue));
      return messageCount;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.forget(queue);
      return undefined;
    }
  }

  /** Messages that say that `queue` is paused, 0 or 1. Their queue is declared with that. */
  pausedCount(queue: string): Promise<number> {
    const wanted = { ...typeArguments(this.options.queueType), 'x-max-length': 1 };
    return this.run((channel) => this.assertOwn(channel, pausedQueue(queue), wanted));
  }

  /**
   * An exchange to speak on. Celery's exchange of events is durable, those of commands and replies are not; one that exists
   * otherwise serves as well.
   */
  ensureExchange(exchange: string, kind: 'fanout' | 'topic' | 'direct'): Promise<void> {
    return this.declarations.once(exchangeKey(exchange), async (channel) => {
      try {
        await channel.assertExchange(exchange, kind, { durable: kind === 'topic' });
      } catch (error) {
        if (replyCode(error) !== REPLY_CODES.preconditionFailed) throw error;
      }
    });
  }

  forgetExchange(exchange: string): void {
    this.declarations.forget(exchangeKey(exchange));
  }

  /** Somebody found that it is gone; see AmqpDeclarations. */
  forget(queue: string, since = Infinity): void {
    for (const key of [queue, deadQueue(queue)]) this.declarations.forget(key, since);
  }

  /** The same for the last steps of what was delayed. */
  forgetHomes(since = Infinity): void {
    this.declarations.forget(HOMES_KEY, since);
  }

  /** The same for everything. */
  forgetAll(): void {
    this.declarations.forgetAll();
  }

  /** Runs on the channel for declarations, alone. Rejects with BrokerError. */
  run<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    return this.declarations.run(work);
  }

  /** A queue that only we use serves as well when it was declared otherwise, by another version or for another server. */
  private async assertOwn(channel: Channel, queue: string, wanted: Record<string, unknown>): Promise<number> {
    try {
      return await assertQueue(channel, queue, wanted);
    } catch (error) {
      if (!isTaskQueueError(error, 'QUEUE_MISMATCH')) throw error;
      const usable = await this.declarations.open();
      const { messageCount } = await usable.checkQueue(queue);
      return messageCount;
    }
  }

  /** Where they are somebody else's, or forbidden, queues work without; whoever delays something is told. */
  private async tryHomes(): Promise<boolean> {
    try {
      await this.ensureHomes();
      return true;
    } catch (error) {
      if (!isTaskQueueError(error) || error.retryable) throw error;
      return false;
    }
  }

  private async declareQueue(channel: Channel, queue: string, isBound: boolean): Promise<void> {
    const { queueType, maxPriority } = this.options;
    const wanted = {
      ...typeArguments(queueType),
      ...(maxPriority === undefined ? {} : { 'x-max-priority': maxPriority }),
    };
    await assertQueue(channel, queue, wanted);
    this.declared.add(queue);
    try {
      await channel.assertExchange(queue, 'direct', { durable: true });
      await channel.bindQueue(queue, queue, queue);
    } catch (error) {
      // Celery may have been told to make it a topic exchange. It is theirs: everything of ours goes through "".
      if (replyCode(error) !== REPLY_CODES.preconditionFailed) throw error;
    }
    // What was delayed for it before it was deleted finds it again.
    if (isBound) await (await this.declarations.open()).bindQueue(queue, HOME_EXCHANGE, delayedPattern(queue));
  }
}

/** The last steps of what was delayed, also for queues that are gone. */
export async function declareHomes(channel: Channel): Promise<void> {
  await channel.assertExchange(HOMELESS, 'topic', { durable: true });
  await channel.assertExchange(HOME_EXCHANGE, 'topic', { durable: true, alternateExchange: HOMELESS });
  await channel.assertQueue(HOMELESS, { durable: true, arguments: { 'x-max-length': 0 } });
}

/**
 * What has neither its queue nor a queue for its dead letters is dropped from now on. The last step of all: before the ways of a queue
 * are there again, it would take what is for them.
 */
export async function dropHomeless(channel: Channel): Promise<void> {
  await channel.bindQueue(HOMELESS, HOMELESS, '#');
}

/** Where the dead letters of a queue are. */
export function deadQueue(queue: string): string {
  return `${DEAD}${queue}`;
}

/** The queue whose dead letters are there; undefined for any other queue. */
export function queueOfDead(name: string): string | undefined {
  return name.startsWith(DEAD) ? name.slice(DEAD.length) : undefined;
}

/** Holds a message while the queue is paused. */
export function pausedQueue(queue: string): string {
  return `taskqueue.paused.${queue}`;
}

/** Exists while somebody reads the dead letters of a queue. */
export function lockQueue(queue: string): string {
  return `taskqueue.lock.${queue}`;
}

/** A queue that holds no tasks that wait for a worker. */
export function isOurOwn(name: string): boolean {
  return /^(taskqueue\.(dead|paused|lock|ear|reply|delayed)\.|celery_delayed_\d+$|celeryev\.)|\.celery\.pidbox$/.test(
    name,
  );
}

const DEAD = 'taskqueue.dead.';

const PATIENCE_MS = 15_000;
const HOMES_KEY = 'last steps of what was delayed';

function exchangeKey(exchange: string): string {
  return `exchange ${exchange}`;
}

/** A classic queue is declared without a word about its type, as Celery does: otherwise the two would not agree. */
function typeArguments(type: AmqpQueueType): Record<string, unknown> {
  return type === 'quorum' ? { 'x-queue-type': 'quorum' } : {};
}

/** Since 4.0 a quorum queue drops what was given back twenty times, and each look at the dead gives them back. */
function deadArguments(type: AmqpQueueType, hasLimit: boolean): Record<string, unknown> {
  return { ...typeArguments(type), ...(type === 'quorum' && hasLimit ? { 'x-delivery-limit': -1 } : {}) };
}

/** Answers how many messages are ready in it. */
async function assertQueue(channel: Channel, queue: string, wanted: Record<string, unknown>): Promise<number> {
  try {
    const { messageCount } = await channel.assertQueue(queue, { durable: true, arguments: wanted });
    return messageCount;
  } catch (error) {
    if (replyCode(error) !== REPLY_CODES.preconditionFailed) throw error;
    throw mismatch(queue, wanted, String((error as Error).message));
  }
}

/** Once more where something was deleted that it was to be bound to: everything is forgotten by then. Rejects as `work` does. */
export async function twice(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await work();
  }
}

/** The server tells of one argument: `inequivalent arg 'x' for queue 'q' in vhost '/': received … but current is …`. */
function mismatch(queue: string, wanted: Record<string, unknown>, text: string): BrokerError {
  const match = /inequivalent arg '([^']+)' for queue .*: received (.*?) but current is (.*?)"?$/.exec(text);
  const [, argument, received, current] = match ?? [];
  const particulars =
    argument === undefined
      ? `the server says: ${text}`
      : `its argument ${argument} is ${current}, and here it is declared with ${received}`;
  return new BrokerError({
    code: 'QUEUE_MISMATCH',
    message: `The queue ${showValue(queue)} exists with other arguments: ${particulars}.`,
    remedy:
      'Set queueType and maxPriority to what the queue was declared with, or delete the queue once it is empty and let it ' +
      'be declared anew.',
    fields: { queue, argument, existing: current, declared: received, arguments: wanted },
  });
}
