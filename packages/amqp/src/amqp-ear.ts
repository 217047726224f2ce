import { randomUUID } from 'node:crypto';
import type { Channel as AmqpChannel, Message } from 'amqplib';
import type { Channel } from '@taskqueue/core';
import { systemClock, WakeUp } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { notConnected } from './amqp-errors.js';
import type { AmqpTopology } from './amqp-topology.js';

export interface AmqpEarOptions {
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly onMessage: (message: Message) => void;
}

interface Wanted {
  readonly channel: Channel;
  listeners: number;
}

/** A channel with a queue on it, and what that queue is bound to. */
interface Session {
  readonly channel: AmqpChannel;
  readonly queue: string;
  readonly bound: Map<string, Channel>;
  readonly unbinding: Set<string>;
}

/** Forgotten by the server when this process is gone and could not say so; what nobody fetches, sooner. */
const QUEUE_ARGUMENTS = { 'x-expires': 60_000, 'x-message-ttl': 5_000 };
const RETRY_MS = 200;
const UNBIND_MS = 1_000;

/**
 * Hears what is said on exchanges, through one queue of this process's own, bound as often as needed:
 *
 * ```text
 *   join, leave ─► WANTED ──one at a time──► BOUND ──channel lost, reconnected──► a new queue, everything bound anew
 *                                              └──all gone──► the queue stays, unbound
 * ```
 *
 * One queue hears what fits several of its bindings to an exchange once.
 */
export class AmqpEar {
  private readonly wanted = new Map<string, Wanted>();
  private session: Session | undefined;
  private loop: Promise<void> | undefined;
  private readonly changed = new WakeUp();
  private readonly settled = new Set<() => void>();
  private readonly ending = new AbortController();
  private readonly unlisten: () => void;

  constructor(private readonly options: AmqpEarOptions) {
    this.unlisten = options.connection.listen({ onReconnect: () => this.changed.ring() });
  }

  /** Resolves when what is said there from now on is heard. Rejects when this is closed before. */
  join(channel: Channel): Promise<void> {
    const key = keyOf(channel);
    const wanted = this.wanted.get(key);
    if (wanted === undefined) this.wanted.set(key, { channel, listeners: 1 });
    else wanted.listeners += 1;
    this.changed.ring();
    this.loop ??= this.run();
    return this.untilBound(key);
  }

  /** Resolves when nothing said there from now on comes here, or after a second: the listener is gone in any case. */
  async leave(channel: Channel): Promise<void> {
    const key = keyOf(channel);
    const wanted = this.wanted.get(key);
    if (wanted === undefined) return;
    wanted.listeners -= 1;
    if (wanted.listeners > 0) return;
    this.wanted.delete(key);
    this.tell();
    this.changed.ring();
    const patience = new AbortController();
    const tooLong = systemClock.sleep(UNBIND_MS, patience.signal).catch(() => undefined);
    await Promise.race([this.until(() => this.wanted.has(key) || !this.isBound(key)), tooLong]);
    patience.abort();
  }

  async close(): Promise<void> {
    this.unlisten();
    this.ending.abort();
    this.wanted.clear();
    this.tell();
    await this.loop;
    await this.session?.channel.close().catch(() => undefined);
  }

  private async untilBound(key: string): Promise<void> {
    const isBound = (): boolean => this.session?.bound.has(key) === true;
    await this.until(() => isBound() || !this.wanted.has(key));
    if (!isBound()) throw notConnected('the subscription was closed');
  }

  private isBound(key: string): boolean {
    return this.session?.bound.has(key) === true || this.session?.unbinding.has(key) === true;
  }

  /** Looks whenever something has changed. */
  private until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo()) return;
        this.settled.delete(look);
        resolve();
      };
      this.settled.add(look);
      look();
    });
  }

  private tell(): void {
    for (const look of this.settled) look();
  }

  private async run(): Promise<void> {
    const { signal } = this.ending;
    while (!signal.aborted) {
      try {
        await this.bindAll();
        this.tell();
        await this.changed.wait(systemClock, 60_000, signal);
      } catch {
        // The connection says in the log that it is lost. An exchange may be gone as well.
        for (const { channel } of this.wanted.values()) this.options.topology.forgetExchange(channel.exchange);
        await systemClock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  private async bindAll(): Promise<void> {
    if (this.session === undefined && this.wanted.size === 0) return;
    const session = this.session ?? (await this.open());
    for (const [key, { channel }] of this.wanted) {
      if (session.bound.has(key)) continue;
      await this.options.topology.ensureExchange(channel.exchange, channel.kind);
      await session.channel.bindQueue(session.queue, channel.exchange, channel.key);
      session.bound.set(key, channel);
    }
    for (const [key, channel] of session.bound) {
      if (this.wanted.has(key)) continue;
      session.bound.delete(key);
      session.unbinding.add(key);
      await session.channel.unbindQueue(session.queue, channel.exchange, channel.key);
      session.unbinding.delete(key);
    }
  }

  private async open(): Promise<Session> {
    const channel = await this.options.connection.createChannel();
    const session: Session = {
      channel,
      queue: `taskqueue.ear.${randomUUID()}`,
      bound: new Map(),
      unbinding: new Set(),
    };
    const lost = (): void => {
      if (this.session === session) this.session = undefined;
      this.tell();
      this.changed.ring();
    };
    channel.on('close', lost);
    await channel.assertQueue(session.queue, {
      durable: false,
      exclusive: true,
      autoDelete: true,
      arguments: QUEUE_ARGUMENTS,
    });
    const hear = (message: Message | null): void => {
      // The queue was deleted.
      if (message === null) void channel.close().catch(() => undefined);
      else this.options.onMessage(message);
    };
    await channel.consume(session.queue, hear, { noAck: true });
    this.session = session;
    return session;
  }
}

function keyOf({ exchange, kind, key }: Channel): string {
  return `${kind} ${exchange} ${kind === 'fanout' ? '' : key}`;
}
