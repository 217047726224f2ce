import { randomBytes } from 'node:crypto';
import type { Channel, ConsumeMessage, Message } from 'amqplib';
import { amqpError } from './amqp-errors.js';

/** A message as the channel brought it, with the queue that it came from. */
export interface Arrival {
  readonly queue: string;
  readonly message: Message;
}

export interface SessionListener {
  /**
   * The channel is gone, and with it everything that was not acknowledged; `arrivals` was not even taken. `reason` is what
   * the server said.
   */
  readonly onLost: (reason: string, arrivals: readonly Arrival[]) => void;
  /** The server ended a subscription: the queue was deleted, or its node is gone. */
  readonly onQueueGone: (queue: string) => void;
  /** Something arrived. */
  readonly onArrival: () => void;
}

/** A subscription, and how much of what came by it is not acknowledged: each acknowledgement makes room for another one. */
interface Subscribed {
  readonly prefetch: number;
  unacknowledged: number;
}

/** Subscriptions at once; the oldest that are used up are ended first. */
const MOST_SUBSCRIPTIONS = 4;

/** The most that the protocol can express. */
const LARGEST_PREFETCH = 65_535;

/** A request for fewer is cheaper as single questions. */
export const FEW = 3;

/**
 * One channel of a consumer, for as long as it lives. Everything that arrives is kept in order until it is taken. What was
 * received under another session cannot be settled under this one: that is the fence.
 *
 * The client's own distribution to consumers is replaced, because it closes the channel over a delivery whose subscription
 * was just cancelled.
 *
 * Acknowledgements of one turn are gathered: those before which nothing is open any more are one frame (`multiple`), because
 * a frame costs a system call here, and a turn of a process there.
 */
export class AmqpSession {
  private arrivals: Arrival[] = [];
  private readonly subscriptions = new Map<string, Subscribed>();
  /** Tags of what was delivered and is not settled, in their order, which is ascending. */
  private readonly open = new Set<number>();
  private acknowledged: Message[] = [];
  private prefetch = -1;
  private lastReason = '';
  private isAlive = true;
  /** Monotonic time of the last question that the server has answered. */
  private provenAt = performance.now();

  constructor(
    private readonly channel: Channel,
    private readonly listener: SessionListener,
  ) {
    channel.removeAllListeners('delivery');
    channel.removeAllListeners('cancel');
    channel.on('delivery', (message: ConsumeMessage) => this.arrived(message));
    channel.on('cancel', ({ consumerTag }) => this.cancelled(consumerTag));
    channel.on('error', (error: Error) => (this.lastReason = error.message));
    channel.on('close', () => this.lost());
  }

  get alive(): boolean {
    return this.isAlive;
  }

  /** What has arrived and was not taken. */
  get waiting(): number {
    return this.arrivals.length;
  }

  take(): readonly Arrival[] {
    const { arrivals } = this;
    this.arrivals = [];
    return arrivals;
  }

  /** All but the first `most`. */
  takeBeyond(most: number): readonly Arrival[] {
    return this.arrivals.splice(most);
  }

  /** Puts back what was taken, first in line. */
  keep(arrivals: readonly Arrival[]): void {
    this.arrivals = [...arrivals, ...this.arrivals];
  }

  /** The same for what was put aside. */
  bring(arrivals: readonly Arrival[]): void {
    if (arrivals.length === 0) return;
    this.keep(arrivals);
    this.listener.onArrival();
  }

  /** Resolves when the server has read what was acknowledged so far, or the channel is gone. */
  async read(): Promise<void> {
    if (!this.isAlive) return;
    this.acknowledge();
    // Any question will do: a channel's frames are read one after another.
    await this.ask(this.channel.prefetch(Math.max(1, this.prefetch))).catch(() => undefined);
  }

  /**
   * Resolves when the server has answered a question that was asked within the last `ms`, or the channel is gone: what a
   * process that was frozen finds in its socket may belong to others by now.
   */
  async proven(ms: number): Promise<void> {
    if (performance.now() - this.provenAt > ms) await this.read();
  }

  /** Asks for one message; false when there is none. */
  async getOne(queue: string): Promise<boolean> {
    const message = await this.ask(this.channel.get(queue));
    if (message === false) return false;
    this.open.add(message.fields.deliveryTag);
    this.arrivals.push({ queue, message });
    return true;
  }

  /** What is there now, at most `max`: a subscription that is cancelled as soon as it stands. */
  async getMany(queue: string, max: number): Promise<void> {
    const tag = this.newTag(queue);
    const consuming = this.consume(queue, tag, max);
    await this.ask(Promise.all([consuming, this.channel.cancel(tag)]));
    this.subscriptions.delete(tag);
  }

  /** Subscribes until `unsubscribe`: what comes arrives at once, at most `max` beyond what is acknowledged. */
  async subscribe(queue: string, max: number): Promise<void> {
    await this.ask(this.consume(queue, this.newTag(queue, max), max));
    if (this.subscriptions.size <= MOST_SUBSCRIPTIONS) return;
    const used = [...this.subscriptions].filter(([, one]) => one.unacknowledged >= one.prefetch).slice(0, -1);
    await this.end(used.map(([tag]) => tag));
  }

  /** Resolves when nothing more can arrive. */
  unsubscribe(): Promise<void> {
    return this.end([...this.subscriptions.keys()]);
  }

  get isSubscribed(): boolean {
    return this.subscriptions.size > 0;
  }

  /** How many the server may still send by itself. */
  get credit(): number {
    let credit = 0;
    for (const { prefetch, unacknowledged } of this.subscriptions.values()) {
      credit += Math.max(0, prefetch - unacknowledged);
    }
    return credit;
  }

  /** False when the channel is gone. */
  ack(message: Message): boolean {
    return this.tell(message, () => {
      if (this.acknowledged.length === 0) queueMicrotask(() => this.acknowledge());
      this.acknowledged.push(message);
    });
  }

  /** Gives a message back to its place. False when the channel is gone. */
  giveBack(message: Message): boolean {
    return this.tell(message, () => this.channel.nack(message, false, true));
  }

  /** Gives everything back that was not acknowledged. */
  async close(): Promise<void> {
    if (!this.isAlive) return;
    this.acknowledge();
    await this.channel.close().catch(() => undefined);
  }

  /** The tag ends with the queue, so that what comes late is still known to come from it. */
  private newTag(queue: string, prefetch = 0): string {
    const tag = `${randomBytes(9).toString('base64url')}.${queue}`;
    this.subscriptions.set(tag, { prefetch: Math.min(prefetch, LARGEST_PREFETCH), unacknowledged: 0 });
    return tag;
  }

  private async end(tags: readonly string[]): Promise<void> {
    for (const tag of tags) this.subscriptions.delete(tag);
    if (this.isAlive && tags.length > 0) await this.ask(Promise.all(tags.map((tag) => this.channel.cancel(tag))));
  }

  private async consume(queue: string, consumerTag: string, max: number): Promise<void> {
    const prefetch = Math.min(max, LARGEST_PREFETCH);
    const steps: Promise<unknown>[] = [];
    if (prefetch !== this.prefetch) steps.push(this.channel.prefetch(prefetch));
    this.prefetch = prefetch;
    steps.push(this.channel.consume(queue, () => undefined, { consumerTag }));
    await Promise.all(steps);
  }

  private arrived(message: ConsumeMessage): void {
    const { consumerTag } = message.fields;
    const subscription = this.subscriptions.get(consumerTag);
    if (subscription !== undefined) subscription.unacknowledged += 1;
    this.open.add(message.fields.deliveryTag);
    this.arrivals.push({ queue: queueOf(consumerTag), message });
    this.listener.onArrival();
  }

  private cancelled(tag: string): void {
    if (this.subscriptions.delete(tag)) this.listener.onQueueGone(queueOf(tag));
  }

  private acknowledge(): void {
    const messages = this.acknowledged;
    this.acknowledged = [];
    if (!this.isAlive || messages.length === 0) return;
    const [firstOpen = Infinity] = this.open;
    let last: Message | undefined;
    try {
      for (const message of messages) {
        const { deliveryTag } = message.fields;
        if (deliveryTag > firstOpen) this.channel.ack(message);
        else if (last === undefined || deliveryTag > last.fields.deliveryTag) last = message;
      }
      if (last !== undefined) this.channel.ack(last, true);
    } catch {
      // The channel is closing: what it did not take comes back, as when it is lost a moment later.
    }
  }

  private lost(): void {
    this.isAlive = false;
    this.subscriptions.clear();
    this.listener.onLost(this.lastReason, this.take());
  }

  private async ask<T>(answer: Promise<T>): Promise<T> {
    const askedAt = performance.now();
    try {
      const answered = await answer;
      this.provenAt = askedAt;
      return answered;
    } catch (error) {
      throw amqpError(error);
    }
  }

  private tell({ fields }: Message, say: () => void): boolean {
    if (!this.isAlive) return false;
    const subscription = this.subscriptions.get(fields.consumerTag ?? '');
    if (subscription !== undefined) subscription.unacknowledged -= 1;
    this.open.delete(fields.deliveryTag);
    try {
      say();
      return true;
    } catch {
      return false;
    }
  }
}

function queueOf(tag: string): string {
  return tag.slice(tag.indexOf('.') + 1);
}
