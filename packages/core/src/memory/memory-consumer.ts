import { WakeUp } from '../async/wake-up.js';
import { consumerClosed } from '../errors/consumer-closed.js';
import type { Consumer, ReceiveRequest, Subscription } from '../ports/broker.js';
import type { Delivery, ExtendOutcome, SettleOutcome, Settlement, SettlementEffects } from '../ports/delivery.js';
import type { MemoryBroker } from './memory-broker.js';
import type { MemoryResults } from './memory-results.js';
import type { MemoryMessage, MemoryState } from './memory-state.js';
import { dueTime } from './memory-state.js';

/** An empty `receive` answers after this long at the latest. */
const LONGEST_WAIT_MS = 5_000;

interface MemoryReceipt {
  readonly id: string;
  readonly consumer: number;
  readonly run: number;
}

/** The consumer port in memory. The lease is the consumer's own; when it is lost the next receive takes a new one. */
export class MemoryConsumer implements Consumer {
  private consumerId = 0;
  private closed = false;
  private readonly bell = new WakeUp();
  private readonly unlisten: () => void;

  constructor(
    private readonly state: MemoryState,
    private readonly results: MemoryResults,
    private readonly broker: MemoryBroker,
    private readonly subscription: Subscription,
  ) {
    this.unlisten = state.onReady(() => this.bell.ring());
  }

  async receive(request: ReceiveRequest): Promise<readonly Delivery[]> {
    if (this.closed) throw consumerClosed();
    const { queues = this.subscription.queues } = request;
    const deadline = this.state.clock.monotonic() + LONGEST_WAIT_MS;
    while (!this.closed && !request.signal.aborted) {
      const deliveries = this.take(request.max, queues);
      const left = deadline - this.state.clock.monotonic();
      if (deliveries.length > 0 || left <= 0) return deliveries;
      await this.bell.wait(this.state.clock, Math.min(left, this.nextDueIn(queues)), request.signal);
    }
    return [];
  }

  settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const outcomes = settlements.map((settlement): SettleOutcome => {
      const message = this.held(settlement.delivery);
      if (message === undefined) return 'lost';
      this.apply(settlement, message);
      return 'settled';
    });
    this.state.announceReady();
    return Promise.resolve(outcomes);
  }

  extend(deliveries: readonly Delivery[], leaseMs: number): Promise<readonly ExtendOutcome[]> {
    const lease = this.state.consumers.get(this.consumerId);
    if (lease !== undefined) lease.leaseUntil = this.state.clock.now() + leaseMs;
    return Promise.resolve(deliveries.map((delivery) => (this.held(delivery) === undefined ? 'lost' : 'extended')));
  }

  close(): Promise<void> {
    if (!this.closed) {
      this.closed = true;
      this.unlisten();
      for (const message of this.state.messages.values()) {
        if (message.status === 'leased' && message.consumer === this.consumerId) release(message);
      }
      this.state.consumers.delete(this.consumerId);
      this.bell.ring();
      this.state.announceReady();
    }
    return Promise.resolve();
  }

  private take(max: number, queues: readonly string[]): Delivery[] {
    if (max <= 0) return [];
    const candidates = this.candidates(queues);
    if (candidates.length === 0) return [];
    const lease = this.lease();
    const suspectHeld = [...this.state.messages.values()].some(
      (message) => message.consumer === lease && message.status === 'leased' && message.lostLeases > 0,
    );
    const taken: MemoryMessage[] = [];
    let suspects = suspectHeld ? 1 : 0;
    for (const message of candidates) {
      if (taken.length === max) break;
      if (message.lostLeases > 0) {
        if (suspects > 0) continue;
        suspects += 1;
      }
      taken.push(message);
    }
    return taken.map((message) => this.leaseMessage(message, lease));
  }

  private candidates(order: readonly string[]): MemoryMessage[] {
    const now = this.state.clock.now();
    const found: MemoryMessage[] = [];
    for (const message of this.state.messages.values()) {
      if (message.status === 'delayed' && message.dueAt <= now) message.status = 'ready';
      if (message.status !== 'ready' || !order.includes(message.outgoing.queue)) continue;
      if (this.state.queue(message.outgoing.queue).paused) continue;
      found.push(message);
    }
    return found.sort(
      (a, b) =>
        order.indexOf(a.outgoing.queue) - order.indexOf(b.outgoing.queue) ||
        Number(b.lostLeases > 0) - Number(a.lostLeases > 0) ||
        b.outgoing.priority - a.outgoing.priority ||
        a.sequence - b.sequence,
    );
  }

  private lease(): number {
    if (!this.state.consumers.has(this.consumerId)) {
      this.consumerId = this.state.nextSequence();
      this.state.consumers.set(this.consumerId, {
        id: this.consumerId,
        leaseUntil: this.state.clock.now() + this.subscription.leaseMs,
      });
    }
    return this.consumerId;
  }

  private leaseMessage(message: MemoryMessage, consumer: number): Delivery {
    message.status = 'leased';
    message.consumer = consumer;
    message.run += 1;
    const receipt: MemoryReceipt = { id: message.outgoing.id, consumer, run: message.run };
    return {
      message: message.outgoing.message,
      queue: message.outgoing.queue,
      receipt,
      run: message.run,
      lostLeases: message.lostLeases,
      redelivered: message.run > 1,
      enqueuedAt: message.enqueuedAt,
    };
  }

  private held(delivery: Delivery): MemoryMessage | undefined {
    const receipt = delivery.receipt as MemoryReceipt;
    const message = this.state.messages.get(receipt.id);
    const holds =
      message !== undefined &&
      message.status === 'leased' &&
      message.consumer === receipt.consumer &&
      message.run === receipt.run;
    return holds ? message : undefined;
  }

  private apply(settlement: Settlement, message: MemoryMessage): void {
    switch (settlement.kind) {
      case 'ack':
        this.state.messages.delete(message.outgoing.id);
        this.applyEffects(settlement.effects);
        return;
      case 'release':
        release(message);
        return;
      case 'replace': {
        const now = this.state.clock.now();
        message.outgoing = settlement.message;
        message.dueAt = dueTime(settlement.message, now);
        message.status = message.dueAt > now ? 'delayed' : 'ready';
        message.consumer = 0;
        message.lostLeases = 0;
        this.applyEffects(settlement.effects);
        return;
      }
      case 'dead-letter':
        message.status = 'dead';
        message.consumer = 0;
        message.reason = settlement.reason;
        message.diedAt = this.state.clock.now();
        this.applyEffects(settlement.effects);
        return;
    }
  }

  private applyEffects(effects: SettlementEffects | undefined): void {
    if (effects?.results !== undefined) this.results.putNow(effects.results);
    if (effects?.publish !== undefined) this.broker.publishNow(effects.publish);
  }

  private nextDueIn(queues: readonly string[]): number {
    let next = Infinity;
    for (const message of this.state.messages.values()) {
      if (message.status === 'delayed' && queues.includes(message.outgoing.queue)) {
        next = Math.min(next, message.dueAt);
      }
    }
    return Math.max(0, next - this.state.clock.now());
  }
}

function release(message: MemoryMessage): void {
  message.status = 'ready';
  message.consumer = 0;
}
