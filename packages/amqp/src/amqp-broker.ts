import type {
  Broker,
  BrokerCapabilities,
  Consumer,
  Logger,
  OutgoingMessage,
  PublishOptions,
  PublishOutcome,
  QueueDeclaration,
  Subscription,
} from '@taskqueue/core';
import { BrokerError, checkQueueName } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { within } from './amqp-connection.js';
import { AmqpConsumer } from './amqp-consumer.js';
import type { AmqpDeadExchange } from './amqp-dead-exchange.js';
import type { AmqpDelayTopology } from './amqp-delay-topology.js';
import type { AmqpFleet } from './amqp-fleet.js';
import type { AmqpGate } from './amqp-gate.js';
import type { AmqpInnocents } from './amqp-innocents.js';
import type { ResolvedAmqpOptions } from './amqp-options.js';
import type { AmqpPublisher } from './amqp-publisher.js';
import type { AmqpTopology } from './amqp-topology.js';

export interface AmqpBrokerOptions {
  /** The one that never publishes. */
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly delays: AmqpDelayTopology;
  readonly publisher: AmqpPublisher;
  readonly deadExchange: AmqpDeadExchange;
  readonly innocents: AmqpInnocents;
  readonly gate: AmqpGate;
  readonly fleet: AmqpFleet;
  readonly settings: ResolvedAmqpOptions;
  readonly logger: () => Logger;
}

const REMEDY =
  'Raise consumer_timeout in rabbitmq.conf above the longest task (milliseconds; 1 800 000 by default), or give long tasks ' +
  'a queue and a worker of their own, or let them acknowledge early.';
const JOIN_MS = 2_000;
const FOLLOW_MS = 10_000;

/**
 * Messages in RabbitMQ's queues. READY, LEASED and DELAYED are the broker's own states, and it gives back by itself what a
 * dead consumer held, so there is no `recover`:
 *
 * ```text
 *                publish                 basic.get, basic.deliver
 *   DELAYED ──TTL──► READY ──────────────────────────► LEASED (unacknowledged) ──ack──► gone
 *   (levels)           ▲ ▲                               │ │ └──publish to taskqueue.dead.<queue>, ack──► DEAD
 *      ▲               │ └──nack with requeue; channel lost─┘ │
 *      └───────────────┴──publish, ack: replace───────────────┘
 * ```
 */
export class AmqpBroker implements Broker {
  readonly capabilities: BrokerCapabilities;
  private readonly consumers = new Set<AmqpConsumer>();
  private hasWarned = false;

  constructor(private readonly options: AmqpBrokerOptions) {
    const { maxPriority, maxMessageBytes, queueType } = options.settings;
    this.capabilities = {
      delay: 'native',
      priorities: maxPriority === undefined ? 0 : maxPriority + 1,
      lease: 'connection',
      atomicReplace: false,
      atomicCompletion: false,
      transactions: false,
      countsLostLeases: true,
      deduplicates: false,
      maxMessageBytes,
      ...(queueType === 'quorum' ? { releasesToEnd: true } : {}),
    };
  }

  async declare(queues: readonly QueueDeclaration[]): Promise<void> {
    for (const { name } of queues) checkQueueName(name);
    await Promise.all(queues.map(({ name }) => this.options.topology.ensureQueue(name)));
  }

  publish(messages: readonly OutgoingMessage[], options: PublishOptions = {}): Promise<readonly PublishOutcome[]> {
    if (options.transaction !== undefined && options.transaction !== null) return Promise.reject(noTransactions());
    return this.options.publisher.publish(messages);
  }

  async consume(subscription: Subscription): Promise<Consumer> {
    await this.declare(subscription.queues.map((name) => ({ name })));
    this.warnOfLongTasks(subscription);
    const { connection, topology, delays, publisher, deadExchange, innocents, gate, fleet, settings, logger } =
      this.options;
    // Tried again as long as it works.
    await within(FOLLOW_MS, Promise.all(subscription.queues.map((name) => delays.follow(name)))).catch(
      (error: unknown) => logger().debug(`What others delay may not come yet: ${String(error)}`, 'TaskQueue'),
    );
    // Whoever hears nothing looks now and then.
    await within(JOIN_MS, fleet.join()).catch((error: unknown) =>
      logger().debug(`The news of other processes is not heard: ${String(error)}`, 'TaskQueue'),
    );
    const consumer = new AmqpConsumer({
      connection,
      topology,
      delays,
      publisher,
      deadExchange,
      innocents,
      gate,
      subscription,
      logger,
      oneByOne: settings.queueType === 'quorum',
      onConsumerTimeout: (reason) => this.warnOfTimeout(reason),
      onClosed: (closed) => void this.consumers.delete(closed),
    });
    this.consumers.add(consumer);
    return consumer;
  }

  /** Closes every consumer. */
  async close(): Promise<void> {
    await Promise.all([...this.consumers].map((consumer) => consumer.close()));
  }

  private warnOfLongTasks({ longestRunMs = 0 }: Subscription): void {
    const { consumerTimeoutMs } = this.options.settings;
    if (longestRunMs <= consumerTimeoutMs) return;
    this.options
      .logger()
      .warn(
        `A task may run for ${longestRunMs} ms, and RabbitMQ takes back everything that a worker holds when a message is not ` +
          `acknowledged within its consumer_timeout, ${consumerTimeoutMs} ms: the task would start again. ${REMEDY} If it is ` +
          'higher already, say so with consumerTimeoutMs.',
        'TaskQueue',
      );
  }

  private warnOfTimeout(reason: string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.options
      .logger()
      .warn(
        `RabbitMQ took back everything that this worker held, because a task ran for longer than its consumer_timeout: ` +
          `${reason}. ${REMEDY}`,
        'TaskQueue',
      );
  }
}

function noTransactions(): BrokerError {
  return new BrokerError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'RabbitMQ cannot publish as part of a transaction of the application.',
    remedy: 'Publish after the commit, or keep the queue in the database that the transaction is in.',
  });
}
