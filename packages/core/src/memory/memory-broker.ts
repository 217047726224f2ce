import type {
  Broker,
  BrokerCapabilities,
  Consumer,
  OutgoingMessage,
  PublishOutcome,
  QueueDeclaration,
  RecoverReport,
  Subscription,
} from '../ports/broker.js';
import { MemoryConsumer } from './memory-consumer.js';
import type { MemoryResults } from './memory-results.js';
import type { MemoryState } from './memory-state.js';
import { dueTime } from './memory-state.js';

/** The broker port in memory. */
export class MemoryBroker implements Broker {
  readonly capabilities: BrokerCapabilities = {
    delay: 'native',
    priorities: 10,
    lease: 'renewable',
    atomicReplace: true,
    atomicCompletion: true,
    transactions: false,
    countsLostLeases: true,
    deduplicates: true,
  };

  constructor(
    private readonly state: MemoryState,
    private readonly results: MemoryResults,
  ) {}

  declare(queues: readonly QueueDeclaration[]): Promise<void> {
    for (const queue of queues) this.state.queue(queue.name);
    return Promise.resolve();
  }

  publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    return Promise.resolve(this.publishNow(messages));
  }

  /** The same without a promise, for the other ports of this driver. */
  publishNow(messages: readonly OutgoingMessage[]): PublishOutcome[] {
    const outcomes = messages.map((outgoing): PublishOutcome => {
      if (this.state.messages.has(outgoing.id)) return { status: 'duplicate' };
      const now = this.state.clock.now();
      const dueAt = dueTime(outgoing, now);
      this.state.queue(outgoing.queue);
      this.state.messages.set(outgoing.id, {
        sequence: this.state.nextSequence(),
        outgoing,
        status: dueAt > now ? 'delayed' : 'ready',
        dueAt,
        enqueuedAt: now,
        run: 0,
        lostLeases: 0,
        consumer: 0,
        reason: '',
        diedAt: 0,
      });
      return { status: 'accepted' };
    });
    this.state.announceReady();
    return outcomes;
  }

  consume(subscription: Subscription): Promise<Consumer> {
    return Promise.resolve(new MemoryConsumer(this.state, this.results, this, subscription));
  }

  /**
   * Timers that are due run before immediates do, so a lease keeper whose loop was blocked renews before we look, and
   * a blocked handler does not lose its lease.
   */
  async recover(): Promise<RecoverReport> {
    await new Promise((resolve) => setImmediate(resolve));
    let recovered = 0;
    for (const consumer of this.state.consumers.values()) {
      if (consumer.leaseUntil > this.state.clock.now()) continue;
      this.state.consumers.delete(consumer.id);
      for (const message of this.state.messages.values()) {
        if (message.status !== 'leased' || message.consumer !== consumer.id) continue;
        message.status = 'ready';
        message.consumer = 0;
        message.lostLeases += 1;
        recovered += 1;
      }
    }
    if (recovered > 0) this.state.announceReady();
    return { recovered };
  }
}
