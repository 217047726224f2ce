import type {
  Broker,
  BrokerCapabilities,
  Consumer,
  KeepAlive,
  OutgoingMessage,
  PublishOptions,
  PublishOutcome,
  QueueDeclaration,
  RecoverReport,
  Subscription,
} from '@taskqueue/core';
import { BrokerError, checkQueueName, systemClock } from '@taskqueue/core';
import { LONGEST_MESSAGE_BYTES } from './kombu-envelope.js';
import { checkPermissions } from './redis-checks.js';
import type { RedisConnection } from './redis-connection.js';
import { RedisConsumer } from './redis-consumer.js';
import type { RedisDelay } from './redis-delay.js';
import type { RedisForeignWatch } from './redis-foreign-watch.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { RedisPublisher } from './redis-publisher.js';
import type { RedisQueues } from './redis-queues.js';

export interface RedisBrokerOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly queues: RedisQueues;
  readonly publisher: RedisPublisher;
  readonly delay: RedisDelay;
  readonly foreignWatch: RedisForeignWatch;
  readonly keepAlive: (consumer: string, queues: readonly QueueKeys[]) => KeepAlive | undefined;
  /** Called when a queue begins to be consumed, and when the server does not know a consumer any more. */
  readonly checkData: () => void;
}

/** Dead consumers of a queue that one call looks for, and messages that one call takes from one of them, at most. */
const EXPIRED_BATCH = 20;
const RECOVER_BATCH = 100;
/**
 * Between the look for the dead and taking what they had. After a stall of the server (a slow disk, a fork) everybody
 * looks dead until it has read the renewals that waited meanwhile.
 */
const BENEFIT_OF_DOUBT_MS = 100;

/**
 * Messages in Kombu's lists, and beside them what Kombu lacks. Every arrow is one script:
 *
 * ```text
 *                  publish                                              hash of the consumer
 *   DELAYED ──promote──► READY ──────────────exchange: number───────────► LEASED ──exchange: ack──► gone
 *      ▲                  ▲ ▲ └──revoke, purge──► gone                      │ │ │
 *      │                  │ └──redrive── DEAD ◄──────────settle: dead───────┤ │ │
 *      │                  └──────────settle: release, return (close)────────┤ │ │
 *      └─────────────────────────────settle: replace────────────────────────┘ │ │
 *                       SUSPECTS ◄──recover: runner lost────────────────────────┘   (leased one at a time)
 * ```
 */
export class RedisBroker implements Broker {
  readonly capabilities: BrokerCapabilities;
  private readonly consumers = new Set<RedisConsumer>();

  constructor(private readonly options: RedisBrokerOptions) {
    const isOneSlot = !options.connection.isCluster;
    this.capabilities = {
      delay: 'native',
      priorities: options.keys.priorities.levels,
      lease: 'renewable',
      atomicReplace: isOneSlot,
      atomicCompletion: isOneSlot,
      transactions: false,
      countsLostLeases: true,
      deduplicates: true,
      maxMessageBytes: LONGEST_MESSAGE_BYTES,
    };
  }

  async declare(queues: readonly QueueDeclaration[]): Promise<void> {
    for (const { name } of queues) checkQueueName(name);
    await this.options.queues.ensure(queues.map((queue) => queue.name));
  }

  publish(messages: readonly OutgoingMessage[], options: PublishOptions = {}): Promise<readonly PublishOutcome[]> {
    if (messages.length === 0) return Promise.resolve([]);
    if (options.transaction !== undefined && options.transaction !== null) return Promise.reject(noTransactions());
    return this.options.publisher.publish(messages);
  }

  /** Throws ConfigurationError that names the commands which the user may not use. */
  async consume(subscription: Subscription): Promise<Consumer> {
    const { connection, keys, publisher, queues: known, delay, foreignWatch, keepAlive, checkData } = this.options;
    for (const name of subscription.queues) checkQueueName(name);
    await checkPermissions(connection, keys, subscription.queues);
    const onClosed = (closed: RedisConsumer): void => void this.consumers.delete(closed);
    const parts = { connection, keys, publisher, known, delay, foreignWatch, keepAlive, checkData };
    const consumer = new RedisConsumer({ ...parts, subscription, onClosed });
    this.consumers.add(consumer);
    checkData();
    return consumer;
  }

  async recover(): Promise<RecoverReport> {
    const { queues } = this.options;
    // They may have gone with the server's data, and what nobody knows of is not looked into.
    await queues.ensure(this.consumed()).catch(() => undefined);
    const expired = await this.expired();
    if (expired.size === 0) return { recovered: 0 };
    await systemClock.sleep(BENEFIT_OF_DOUBT_MS);
    const recovered = await queues.each((queue) => this.recoverQueue(queue, expired.get(queue) ?? []));
    return { recovered: recovered.reduce((sum, one) => sum + one, 0) };
  }

  /** The queues of all consumers. */
  consumed(): readonly string[] {
    return [...this.consumers].flatMap((consumer) => consumer.queueNames);
  }

  /** Closes every consumer. */
  async close(): Promise<void> {
    await Promise.all([...this.consumers].map((consumer) => consumer.close()));
  }

  /** Consumers that look dead, by queue. */
  private async expired(): Promise<ReadonlyMap<QueueKeys, readonly string[]>> {
    const { connection, queues } = this.options;
    const found = new Map<QueueKeys, readonly string[]>();
    await queues.each(async (queue) => {
      const consumers = (await connection.run('expired', [queue.consumers], [EXPIRED_BATCH])) as string[];
      if (consumers.length > 0) found.set(queue, consumers);
    });
    return found;
  }

  private async recoverQueue(queue: QueueKeys, expired: readonly string[]): Promise<number> {
    let recovered = 0;
    for (const consumer of expired) recovered += await this.recoverFrom(queue, consumer);
    return recovered;
  }

  private async recoverFrom(queue: QueueKeys, consumer: string): Promise<number> {
    const keys = [queue.leased(consumer), queue.consumers, queue.suspects, queue.wake];
    let recovered = 0;
    for (;;) {
      const answer = (await this.options.connection.run('recover', keys, [consumer, RECOVER_BATCH])) as [
        number,
        number,
      ];
      recovered += answer[0];
      if (answer[1] === 0) return recovered;
    }
  }
}

function noTransactions(): BrokerError {
  return new BrokerError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'Redis cannot publish as part of a transaction of the application.',
    remedy: 'Publish after the commit, or keep the queue in the database that the transaction is in.',
  });
}
