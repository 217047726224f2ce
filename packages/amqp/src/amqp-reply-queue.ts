import { randomUUID } from 'node:crypto';
import type { Channel, Message } from 'amqplib';
import { systemClock, WakeUp } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';

export interface AmqpReplyQueueOptions {
  /** The one that never publishes. */
  readonly connection: AmqpConnection;
  readonly onMessage: (message: Message) => void;
}

/** The server forgets the queue this long after its process is gone and could not say so; Celery's does the same. */
const EXPIRES_MS = 86_400_000;
const RETRY_MS = 200;
const PREFETCH = 500;

/**
 * The queue of this process for the results of what it sent:
 *
 * ```text
 *   open ─► declared, consumed ──channel lost, queue deleted──► declared and consumed again, under the same name
 *              └──close─► deleted
 * ```
 *
 * Celery's reply queues end with their connection, and with them every result that comes while it is made again. This one is
 * durable and stays until it has not been used for a day.
 */
export class AmqpReplyQueue {
  readonly name = `taskqueue.reply.${randomUUID()}`;
  private first: Promise<void> | undefined;
  private channel: Channel | undefined;
  private loop: Promise<void> | undefined;
  private readonly changed = new WakeUp();
  private readonly ending = new AbortController();
  private readonly unlisten: () => void;

  constructor(private readonly options: AmqpReplyQueueOptions) {
    this.unlisten = options.connection.listen({ onReconnect: () => this.changed.ring() });
  }

  /** Resolves when it was declared once: from then on nothing is lost that is sent to it. Rejects with BrokerError. */
  open(): Promise<void> {
    this.first ??= this.consume().then(
      () => void (this.loop = this.keep()),
      (error: unknown) => {
        this.first = undefined;
        throw error;
      },
    );
    return this.first;
  }

  async close(): Promise<void> {
    this.unlisten();
    this.ending.abort();
    await this.first?.catch(() => undefined);
    await this.loop;
    const { channel } = this;
    this.channel = undefined;
    await channel?.deleteQueue(this.name).catch(() => undefined);
    await channel?.close().catch(() => undefined);
  }

  private async keep(): Promise<void> {
    const { signal } = this.ending;
    while (!signal.aborted) {
      if (this.channel !== undefined) {
        await this.changed.wait(systemClock, 60_000, signal);
        continue;
      }
      // The connection says in the log that it is lost.
      await this.consume().catch(() => systemClock.sleep(RETRY_MS, signal).catch(() => undefined));
    }
  }

  private async consume(): Promise<void> {
    const channel = await this.options.connection.createChannel();
    const lost = (): void => {
      if (this.channel === channel) this.channel = undefined;
      this.changed.ring();
    };
    channel.on('close', lost);
    await channel.assertQueue(this.name, { durable: true, autoDelete: false, expires: EXPIRES_MS });
    await channel.prefetch(PREFETCH);
    const acknowledge = inTurns(channel);
    await channel.consume(this.name, (message) => {
      if (message === null) {
        // The queue was deleted.
        void channel.close().catch(() => undefined);
        return;
      }
      this.options.onMessage(message);
      acknowledge(message);
    });
    this.channel = channel;
  }
}

/** Acknowledges what comes in one turn at once: it is in order, and nothing of it is left out. */
function inTurns(channel: Channel): (message: Message) => void {
  let last: Message | undefined;
  const acknowledge = (): void => {
    if (last === undefined) return;
    try {
      channel.ack(last, true);
    } catch {
      // The channel is closing: it comes again.
    }
    last = undefined;
  };
  return (message) => {
    if (last === undefined) queueMicrotask(acknowledge);
    last = message;
  };
}
