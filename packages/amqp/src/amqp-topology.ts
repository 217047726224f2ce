import type { Channel } from 'amqplib';
import { BrokerError, isTaskQueueError, showValue } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import type { AmqpLevels } from './amqp-delay.js';
import { delayedPattern, DELIVERY_EXCHANGE, HOME_EXCHANGE, HOMELESS, levels } from './amqp-delay.js';
import { amqpError, REPLY_CODES } from './amqp-errors.js';
import type { AmqpQueueType, ResolvedAmqpOptions } from './amqp-options.js';

/**
 * Declares what messages pass through, as Celery does:
 *
 * ```text
 *   exchange <queue> (direct, durable) ──<queue>──► queue <queue> (durable)     publishers use the exchange "" all the same
 *   celery_delayed_27 … celery_delayed_delivery ──► taskqueue.delayed ──28 bits and <queue>──► queue <queue>       see amqp-delay.ts
 *   queue taskqueue.dead.<queue> (durable)                                      ours, through the exchange ""
 *   queue taskqueue.paused.<queue> (durable, at most one message)               ours; see amqp-gate.ts
 * ```
 *
 * Each step runs alone on a channel of its own, because a refusal closes the channel and everything that waits on it. It is on
 * the connection that never publishes, which is not blocked when memory is short. What was declared is remembered until
 * the connection is lost, or somebody finds that it is gone (`forget`).
 */
export class AmqpTopology {
  private channel: Channel | undefined;
  private generation = 0;
  private readonly declarations = new Map<string, Declaration>();
  private readonly declared = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly connection: AmqpConnection,
    private readonly options: ResolvedAmqpOptions,
  ) {}

  /** Is the queue known to be there? Then nothing needs to be awaited. */
  has(queue: string): boolean {
    return this.isFresh() && this.isDone(queue);
  }

  /** Every queue for tasks that was declared here, however long ago. */
  get queues(): ReadonlySet<string> {
    return this.declared;
  }

  /** Rejects with QUEUE_MISMATCH for a queue that exists with other arguments. */
  async ensureQueue(queue: string): Promise<void> {
    await this.once(HOMES_KEY, declareHomes);
    await this.once(queue, (channel) => this.declareQueue(channel, queue));
  }

  hasDelay(queue: string): boolean {
    return this.isFresh() && this.isDone(delayKey(queue));
  }

  /** The levels of delay, and the ways from them to the queue, and to its dead letters for when it is deleted. */
  async ensureDelay(queue: string): Promise<void> {
    await this.ensureQueue(queue);
    await this.ensureDead(queue);
    await this.once(LEVELS_KEY, (channel) => this.declareLevels(channel));
    await this.once(delayKey(queue), async (channel) => {
      const pattern = delayedPattern(queue);
      await channel.bindQueue(deadQueue(queue), HOMELESS, pattern);
      await channel.bindExchange(HOME_EXCHANGE, DELIVERY_EXCHANGE, pattern);
    });
  }

  /**
   * For a worker, which cannot know who delays something for its queue: Python's clients declare nothing on the way. As Celery's
   * workers, it declares the levels for quorum queues; for classic ones it uses those that are there.
   */
  async followDelay(queue: string): Promise<void> {
    if (this.options.queueType === 'quorum' || (await this.hasLevels())) await this.ensureDelay(queue);
  }

  /** The queue of the dead letters of `queue`. */
  async ensureDead(queue: string): Promise<void> {
    const name = deadQueue(queue);
    await this.once(name, async (channel) => {
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
    return this.once(exchangeKey(exchange), async (channel) => {
      try {
        await channel.assertExchange(exchange, kind, { durable: kind === 'topic' });
      } catch (error) {
        if (replyCode(error) !== REPLY_CODES.preconditionFailed) throw error;
      }
    });
  }

  forgetExchange(exchange: string): void {
    this.declarations.delete(exchangeKey(exchange));
  }

  /**
   * Somebody found that it is gone: the next who needs it declares it again. Not what was declared after the monotonic time
   * `since`, at which it was gone, for the next who found the same.
   */
  forget(queue: string, since = Infinity): void {
    for (const key of [queue, delayKey(queue), deadQueue(queue)]) this.forgetOne(key, since);
  }

  /** The same for the levels of delay. */
  forgetLevels(since = Infinity): void {
    for (const key of [HOMES_KEY, LEVELS_KEY]) this.forgetOne(key, since);
  }

  /** The same for everything. */
  forgetAll(): void {
    this.declarations.clear();
  }

  /** Runs on the channel for declarations, alone. Rejects with BrokerError. */
  run<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const result = this.last.then(async () => {
      const channel = await this.open();
      try {
        return await work(channel);
      } catch (error) {
        throw amqpError(error);
      }
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  private async hasLevels(): Promise<boolean> {
    try {
      await this.run((channel) => channel.checkExchange(DELIVERY_EXCHANGE));
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  private isFresh(): boolean {
    return this.generation === this.connection.generation;
  }

  private isDone(key: string): boolean {
    return this.declarations.get(key)?.isDone === true;
  }

  private forgetOne(key: string, since: number): void {
    const declaration = this.declarations.get(key);
    if (declaration !== undefined && declaration.begunAt <= since) this.declarations.delete(key);
  }

  private once(key: string, work: (channel: Channel) => Promise<void>): Promise<void> {
    if (!this.isFresh()) {
      this.forgetAll();
      this.generation = this.connection.generation;
    }
    const known = this.declarations.get(key);
    if (known !== undefined) return known.declaring;
    const declaration: Declaration = { declaring: this.run(work), begunAt: performance.now(), isDone: false };
    this.declarations.set(key, declaration);
    declaration.declaring.then(
      () => (declaration.isDone = true),
      (error: unknown) => {
        if (this.declarations.get(key) === declaration) this.declarations.delete(key);
        // What it was to be bound to was deleted.
        if (isNotFound(error)) this.forgetAll();
      },
    );
    return declaration.declaring;
  }

  private async open(): Promise<Channel> {
    if (this.channel !== undefined) return this.channel;
    const channel = await this.connection.createChannel();
    channel.on('close', () => {
      if (this.channel === channel) this.channel = undefined;
    });
    this.channel = channel;
    return channel;
  }

  /** A queue that only we use serves as well when it was declared otherwise, by another version or for another server. */
  private async assertOwn(channel: Channel, queue: string, wanted: Record<string, unknown>): Promise<number> {
    try {
      return await assertQueue(channel, queue, wanted);
    } catch (error) {
      if (!isTaskQueueError(error, 'QUEUE_MISMATCH')) throw error;
      const usable = await this.open();
      const { messageCount } = await usable.checkQueue(queue);
      return messageCount;
    }
  }

  private async declareQueue(channel: Channel, queue: string): Promise<void> {
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
    await (await this.open()).bindQueue(queue, HOME_EXCHANGE, delayedPattern(queue));
  }

  private async declareLevels(channel: Channel): Promise<void> {
    const { exchanges, queues, bindings }: AmqpLevels = levels(this.options.delayQueueType);
    let usable = channel;
    for (const { name, kind } of exchanges) await usable.assertExchange(name, kind, { durable: true });
    for (const queue of queues) {
      try {
        await usable.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
      } catch (error) {
        // Python declared them of the other type: they serve as well, whichever it is.
        if (replyCode(error) !== REPLY_CODES.preconditionFailed || !OF_TYPE.test(String(error))) throw error;
        usable = await this.open();
        await usable.checkQueue(queue.name);
      }
    }
    for (const { from, to, pattern, kind } of bindings) {
      if (kind === 'queue') await usable.bindQueue(to, from, pattern);
      else await usable.bindExchange(to, from, pattern);
    }
  }
}

interface Declaration {
  readonly declaring: Promise<void>;
  /** Monotonic. */
  readonly begunAt: number;
  isDone: boolean;
}

/** The last steps of what was delayed, also for queues that are gone. */
async function declareHomes(channel: Channel): Promise<void> {
  await channel.assertExchange(HOMELESS, 'topic', { durable: true });
  await channel.assertExchange(HOME_EXCHANGE, 'topic', { durable: true, alternateExchange: HOMELESS });
  await channel.assertQueue(HOMELESS, { durable: true, arguments: { 'x-max-length': 0 } });
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

/** The arguments in which the two types of a level's queue differ. */
const OF_TYPE = /inequivalent arg '(x-queue-type|x-dead-letter-strategy)'/;

const LEVELS_KEY = 'levels of delay';
const HOMES_KEY = 'last steps of what was delayed';

function delayKey(queue: string): string {
  return `delay ${queue}`;
}

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

function isNotFound(error: unknown): boolean {
  return (error as { fields?: { reply?: unknown } }).fields?.reply === REPLY_CODES.notFound;
}

function replyCode(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
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
