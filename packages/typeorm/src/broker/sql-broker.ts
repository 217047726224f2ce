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
import { MESSAGE_STATE } from '../sql/dialect.js';
import { checkName } from '../sql/message-row.js';
import type { SqlStore, Work } from '../sql/sql-store.js';
import { Publisher } from './publisher.js';
import { SqlConsumer } from './sql-consumer.js';
import type { WakeHub } from './wake-hub.js';

export interface SqlBrokerOptions {
  readonly store: SqlStore;
  readonly detached: SqlStore;
  readonly hub: WakeHub;
  readonly pollMs: number;
  readonly keepAlive: (consumer: number) => KeepAlive | undefined;
}

/**
 * Messages as rows of one table. A row is in exactly one state, and a lease is two columns of it that no index holds:
 *
 * ```text
 *              consumer = 0                                    consumer ≠ 0
 *   DELAYED ──due──► READY ◄──────────release────────────── LEASED ──ack──► (deleted)
 *      ▲               ▲  └───────────claim: run + 1──────────► │
 *      │               └──redrive── DEAD ◄──dead-letter─────────┤
 *      └──────────────────────────replace───────────────────────┤
 *                    SUSPECT ◄──recover: lost_leases + 1────────┘   (claimed as READY is, one at a time)
 * ```
 */
export class SqlBroker implements Broker {
  readonly capabilities: BrokerCapabilities = {
    delay: 'native',
    priorities: 10,
    lease: 'renewable',
    atomicReplace: true,
    atomicCompletion: true,
    transactions: true,
    countsLostLeases: true,
    deduplicates: true,
    privateQueues: true,
  };
  private readonly publisher: Publisher;
  private readonly consumers = new Set<SqlConsumer>();

  constructor(private readonly options: SqlBrokerOptions) {
    this.publisher = new Publisher(options.store, options.hub);
  }

  async declare(queues: readonly QueueDeclaration[]): Promise<void> {
    for (const { name } of queues) checkName('queue', name);
    const { store } = this.options;
    if (queues.length > 0) await store.run(() => this.insertQueues(queues.map((queue) => queue.name)));
  }

  publish(messages: readonly OutgoingMessage[], options: PublishOptions = {}): Promise<readonly PublishOutcome[]> {
    if (messages.length === 0) return Promise.resolve([]);
    const { transaction } = options;
    if (transaction !== undefined && transaction !== null) return this.publisher.publishInside(transaction, messages);
    // Gathering it with others would leave the flow of the transaction, and wait for its end.
    if (this.options.store.insideTransaction) return this.publisher.publishHere(messages);
    return this.publisher.publish(messages);
  }

  consume(subscription: Subscription): Promise<Consumer> {
    for (const name of subscription.queues) checkName('queue', name);
    const { detached: store, hub, pollMs, keepAlive } = this.options;
    const onClosed = (closed: SqlConsumer): void => void this.consumers.delete(closed);
    const consumer = new SqlConsumer({ store, hub, pollMs, keepAlive, subscription, onClosed });
    this.consumers.add(consumer);
    return Promise.resolve(consumer);
  }

  async recover(): Promise<RecoverReport> {
    const recovered = await this.options.detached.run(() => this.recoverExpired());
    if (recovered > 0) this.options.hub.ring();
    return { recovered };
  }

  /** Closes every consumer. */
  async close(): Promise<void> {
    await Promise.all([...this.consumers].map((consumer) => consumer.close()));
  }

  private *insertQueues(names: readonly string[]): Work<void> {
    const { dialect } = this.options.store;
    for (const name of [...names].sort()) {
      yield {
        sql: `insert into ${dialect.table('queue')} (name, paused) values ($1, false) on conflict (name) do nothing`,
        params: [name],
      };
    }
  }

  /** A consumer that is in the middle of a claim is passed over; it lives. */
  private *recoverExpired(): Work<number> {
    const { dialect } = this.options.store;
    const consumers = yield {
      sql: `select id from ${dialect.table('consumer')} where lease_until < ${dialect.now} order by id ${dialect.forUpdateSkipLocked}`,
    };
    let recovered = 0;
    for (const { id } of consumers) {
      const messages = yield {
        sql: `update ${dialect.table('message')} set consumer = 0, state = ${MESSAGE_STATE.suspect},
          lost_leases = lost_leases + 1 where consumer = $1 returning id`,
        params: [Number(id)],
      };
      recovered += messages.length;
      yield { sql: `delete from ${dialect.table('consumer')} where id = $1`, params: [Number(id)] };
    }
    if (recovered > 0) yield* dialect.announce();
    return recovered;
  }
}
