import type { Channel } from 'amqplib';
import type { Logger } from '@taskqueue/core';
import { isTaskQueueError } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { AmqpDeclarations } from './amqp-declarations.js';
import type { AmqpLevels } from './amqp-delay.js';
import { delayedPattern, DELIVERY_EXCHANGE, HOME_EXCHANGE, HOMELESS, levels } from './amqp-delay.js';
import { isNotFound, REPLY_CODES, replyCode } from './amqp-errors.js';
import type { ResolvedAmqpOptions } from './amqp-options.js';
import type { AmqpTopology } from './amqp-topology.js';
import { deadQueue, declareHomes, dropHomeless, twice } from './amqp-topology.js';

/** What is in use is declared again after this long. */
const AGAIN_MS = 10_000;
/** New levels are some forty queues with a leader each. */
const PATIENCE_MS = 60_000;

export interface AmqpDelayTopologyOptions {
  /** The one that never publishes. */
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly settings: ResolvedAmqpOptions;
  readonly logger: () => Logger;
}

/**
 * The levels of delay (amqp-delay.ts), and the ways from them to the queues. On a channel apart from that of the queues, which
 * a level without a leader must not hold up.
 *
 * ```text
 *   UNKNOWN ──something is delayed, a worker starts or is connected again──► DECLARED ──every 10 s, while it is used──┐
 *      ▲                                                                       │  ▲                                     │
 *      └──connection lost; the broker returned a message, or has no such ──────┘  └─────────declared again─────────────┘
 *         exchange; declared otherwise meanwhile
 * ```
 *
 * It is declared again and again because nobody is told that it is gone: the broker confirms a message that waits in a level, and
 * sees only when it is due that the next exchange is missing.
 */
export class AmqpDelayTopology {
  private readonly declarations: AmqpDeclarations;
  /** Queues that something was delayed for, or may be by others, since it was declared last. */
  private readonly used = new Set<string>();
  /** Queues of workers, and the connection on which it was seen to that what is delayed comes to them. */
  private readonly followed = new Map<string, number>();
  /** Queues to which the levels once led. */
  private readonly reached = new Set<string>();
  private readonly said = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(private readonly options: AmqpDelayTopologyOptions) {
    this.declarations = new AmqpDeclarations(options.connection, {
      patienceMs: PATIENCE_MS,
      onNotFound: () => this.forgetAll(),
    });
  }

  /** Is everything known to be there? Then nothing needs to be awaited. */
  has(queue: string): boolean {
    const { declarations } = this;
    return declarations.isDone(queue) && declarations.isDone(LEVELS_KEY) && this.options.topology.has(queue);
  }

  /** The levels of delay, and the ways from them to the queue, and to its dead letters for when it is deleted. */
  ensure(queue: string): Promise<void> {
    const { topology } = this.options;
    return twice(async () => {
      await topology.ensureHomes();
      await topology.ensureQueue(queue);
      await topology.ensureDead(queue);
      await this.declarations.once(LEVELS_KEY, (channel) => this.declareLevels(channel));
      await this.declarations.once(queue, (channel) => bindWays(channel, queue));
      this.reached.add(queue);
    });
  }

  /** Something is delayed for the queue: the way is kept in order. */
  use(queue: string): void {
    this.used.add(queue);
    if (this.timer === undefined && !this.isClosed) this.timer = setTimeout(() => void this.again(), AGAIN_MS);
  }

  /** Is `follow` done with, or under way, on this connection? Then the way is kept in order, where there is one. */
  follows(queue: string): boolean {
    if (this.has(queue)) this.use(queue);
    return this.followed.get(queue) === this.options.connection.generation;
  }

  /**
   * For a worker, which cannot know who delays something for its queue: Python's clients declare nothing on the way. As Celery's
   * workers, it declares the levels for quorum queues; for classic ones it uses those that are there. Where they are declared
   * otherwise, or the user may not, it works all the same, and says so. Rejects when it is worth another try.
   */
  async follow(queue: string): Promise<void> {
    this.followed.set(queue, this.options.connection.generation);
    try {
      await this.tryFollow(queue);
    } catch (error) {
      if (!isTaskQueueError(error) || error.retryable) {
        this.followed.delete(queue);
        throw error;
      }
      this.say(`What others delay for ${queue} may not come to it: ${error.code}: ${error.message}`, error.code);
    }
  }

  /** Somebody found at the monotonic time `since` that something is missing. */
  forget(queue: string, since = Infinity): void {
    const { topology } = this.options;
    topology.forget(queue, since);
    topology.forgetHomes(since);
    for (const key of [queue, LEVELS_KEY]) this.declarations.forget(key, since);
  }

  forgetAll(): void {
    this.options.topology.forgetAll();
    this.declarations.forgetAll();
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private async tryFollow(queue: string): Promise<void> {
    if (this.has(queue)) return;
    const { queueType } = this.options.settings;
    if (queueType === 'quorum' || this.reached.has(queue) || (await this.hasLevels())) await this.ensure(queue);
  }

  private async hasLevels(): Promise<boolean> {
    try {
      await this.declarations.run((channel) => channel.checkExchange(DELIVERY_EXCHANGE));
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Never rejects. */
  private async again(): Promise<void> {
    const queues = [...this.used];
    this.used.clear();
    try {
      await this.declareAgain(queues.filter((queue) => this.has(queue)));
    } catch (error) {
      if (isTaskQueueError(error) && error.retryable) for (const queue of queues) this.used.add(queue);
      else this.say(`The levels of delay could not be declared again: ${String(error)}`, '');
    } finally {
      this.timer = undefined;
      for (const queue of [...this.used].slice(0, 1)) this.use(queue);
    }
  }

  private async declareAgain(queues: readonly string[]): Promise<void> {
    if (queues.length === 0) return;
    try {
      await this.declarations.run(async (channel) => {
        await declareHomes(channel);
        await this.declareLevels(channel);
      });
    } catch (error) {
      // Whoever delays something now is told.
      this.declarations.forget(LEVELS_KEY);
      throw error;
    }
    for (const queue of queues) await this.bindAgain(queue);
    await this.declarations.run(dropHomeless);
  }

  /**
   * From the queue back to the levels: what comes meanwhile finds the whole way, or waits in its level. Queues are not declared
   * again: whoever has deleted one may have meant it. Exchanges outlive them.
   */
  private async bindAgain(queue: string): Promise<void> {
    for (const bind of [bindHome, bindDead, bindDelivery]) {
      try {
        await this.declarations.run((channel) => bind(channel, queue));
      } catch (error) {
        if (!isNotFound(error)) throw error;
        this.options.topology.forget(queue);
        this.declarations.forget(queue);
        this.followed.delete(queue);
      }
    }
  }

  private async declareLevels(channel: Channel): Promise<void> {
    const { exchanges, queues, bindings }: AmqpLevels = levels(this.options.settings.delayQueueType);
    let usable = channel;
    for (const { name, kind } of exchanges) await usable.assertExchange(name, kind, { durable: true });
    for (const queue of queues) {
      try {
        await usable.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
      } catch (error) {
        // Python declared them of the other type: they serve as well, whichever it is.
        if (replyCode(error) !== REPLY_CODES.preconditionFailed || !OF_TYPE.test(String(error))) throw error;
        usable = await this.declarations.open();
        await usable.checkQueue(queue.name);
      }
    }
    for (const { from, to, pattern, kind } of bindings) {
      if (kind === 'queue') await usable.bindQueue(to, from, pattern);
      else await usable.bindExchange(to, from, pattern);
    }
  }

  private say(text: string, code: string): void {
    if (this.said.has(text)) return;
    this.said.add(text);
    if (code === 'CAPABILITY_UNSUPPORTED') this.options.logger().debug(text, 'TaskQueue');
    else this.options.logger().warn(text, 'TaskQueue');
  }
}

const LEVELS_KEY = 'levels of delay';

/** The arguments in which the two types of a level's queue differ. */
const OF_TYPE = /inequivalent arg '(x-queue-type|x-dead-letter-strategy)'/;

async function bindWays(channel: Channel, queue: string): Promise<void> {
  await bindDead(channel, queue);
  await bindDelivery(channel, queue);
  await dropHomeless(channel);
}

async function bindDelivery(channel: Channel, queue: string): Promise<void> {
  await channel.bindExchange(HOME_EXCHANGE, DELIVERY_EXCHANGE, delayedPattern(queue));
}

async function bindHome(channel: Channel, queue: string): Promise<void> {
  await channel.bindQueue(queue, HOME_EXCHANGE, delayedPattern(queue));
}

/** For when the queue is deleted. */
async function bindDead(channel: Channel, queue: string): Promise<void> {
  await channel.bindQueue(deadQueue(queue), HOMELESS, delayedPattern(queue));
}
