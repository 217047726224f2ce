import type { ConfirmChannel, Message } from 'amqplib';
import { deferred, systemClock } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { publishingBlocked, REPLY_CODES } from './amqp-errors.js';

export interface AmqpLaneOptions {
  readonly connection: AmqpConnection;
  /** How long a publication waits while the broker blocks publishers. */
  readonly blockedTimeoutMs: number;
  readonly onReturn: (message: Message) => void;
  /** An exchange that was published to does not exist. */
  readonly onExchangeGone: () => void;
  readonly onBlocked: () => void;
}

/**
 * A connection for publishing, and the channel on it, which is made anew when it is gone. RabbitMQ stops reading from a whole
 * connection when one queue does not confirm what came by it, so what may meet such a queue needs a lane of its own.
 */
export class AmqpLane {
  private channel: ConfirmChannel | undefined;
  private opening: Promise<ConfirmChannel> | undefined;
  private blockedAt = 0;
  private unblocked = deferred();
  private readonly unlisten: () => void;

  constructor(private readonly options: AmqpLaneOptions) {
    this.unlisten = options.connection.listen({ onBlocked: (reason) => this.turned(reason) });
  }

  /** The channel, where it can be published on at once. */
  get ready(): ConfirmChannel | undefined {
    return this.isBlocked ? undefined : this.channel;
  }

  /** Rejects with BROKER_UNAVAILABLE, also while the broker blocks publishers for longer than is waited. */
  async open(): Promise<ConfirmChannel> {
    await this.options.connection.open();
    await this.untilUnblocked();
    if (this.channel !== undefined) return this.channel;
    this.opening ??= this.openChannel().finally(() => (this.opening = undefined));
    return this.opening;
  }

  get isBlocked(): boolean {
    return this.options.connection.blockedBy !== undefined;
  }

  /** Why the broker has blocked publishers, for at least as long as a publication waits. */
  blockedTooLong(now: number): string | undefined {
    const reason = this.options.connection.blockedBy;
    return reason !== undefined && now - this.blockedAt >= this.options.blockedTimeoutMs ? reason : undefined;
  }

  /** Gives up the connection: another one is made, and nothing of this one can be confirmed any more. */
  renew(reason: string): void {
    this.options.connection.abandon(reason);
  }

  close(): void {
    this.unlisten();
    this.unblocked.resolve();
  }

  private async untilUnblocked(): Promise<void> {
    const { connection, blockedTimeoutMs } = this.options;
    if (connection.blockedBy === undefined) return;
    const patience = new AbortController();
    const late = systemClock.sleep(blockedTimeoutMs, patience.signal).catch(() => undefined);
    await Promise.race([this.unblocked.promise, late]);
    patience.abort();
    const reason = connection.blockedBy;
    if (reason !== undefined) throw publishingBlocked(reason, blockedTimeoutMs, false);
  }

  private async openChannel(): Promise<ConfirmChannel> {
    const channel = await this.options.connection.createConfirmChannel();
    channel.on('return', (message: Message) => this.options.onReturn(message));
    channel.on('error', (error: Error & { readonly code?: unknown }) => {
      if (error.code === REPLY_CODES.notFound) this.options.onExchangeGone();
    });
    channel.on('close', () => {
      if (this.channel === channel) this.channel = undefined;
    });
    this.channel = channel;
    return channel;
  }

  private turned(reason: string | undefined): void {
    if (reason === undefined) {
      this.unblocked.resolve();
      return;
    }
    this.unblocked = deferred();
    this.blockedAt = performance.now();
    this.options.onBlocked();
  }
}
