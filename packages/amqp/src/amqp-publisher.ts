import type { ConfirmChannel, Message, Options } from 'amqplib';
import type { OutgoingMessage, PublishOutcome } from '@taskqueue/core';
import { bodyBytes, deferred, systemClock, UsageError } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { delayedKey, delaySeconds, FIRST_EXCHANGE } from './amqp-delay.js';
import { amqpError, fateUnknown, notConnected, publishingBlocked, publishRefused, REPLY_CODES } from './amqp-errors.js';
import type { Counters } from './amqp-message.js';
import { checkOutgoing, FRESH, taskOptions } from './amqp-message.js';
import type { ResolvedAmqpOptions } from './amqp-options.js';
import type { AmqpTopology } from './amqp-topology.js';

export interface AmqpPublisherOptions {
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly settings: ResolvedAmqpOptions;
}

/** A message as it goes over the wire. */
export interface PlacedMessage {
  /** Whose topology has to be there: undefined for what finds its way without. */
  readonly queue: string | undefined;
  readonly isDelayed: boolean;
  readonly exchange: string;
  readonly key: string;
  readonly body: Buffer;
  readonly options: Options.Publish;
}

/** A publication that the broker has not confirmed. */
interface InFlight {
  readonly placed: PlacedMessage;
  readonly end: (outcome: PublishOutcome) => void;
  readonly sentAt: number;
  /** Sent once before, and returned. */
  readonly again: boolean;
  returned: string | undefined;
}

const SWEEP_MS = 500;
const CLOSE_PATIENCE_MS = 1_000;

/**
 * Publishes with confirms and `mandatory`, on a connection of its own:
 *
 * ```text
 *   place ──► topology known? ──► blocked? wait ──► SENT ──ack──────────────► accepted
 *     │ bad: refused    │ refused     │ refused      ├──return, then ack──► declared and sent once more; then refused
 *                                                    ├──nack──────────────► refused
 *                                                    ├──channel lost──────► unknown
 *                                                    └──no confirmation in time, or blocked for too long ──► unknown
 * ```
 *
 * What is `unknown` may be in the broker: AMQP cannot take it back, and does not recognise it when it comes again.
 */
export class AmqpPublisher {
  private channel: ConfirmChannel | undefined;
  private opening: Promise<ConfirmChannel> | undefined;
  private readonly inFlight = new Set<InFlight>();
  private sweeper: NodeJS.Timeout | undefined;
  private blockedAt = 0;
  private unblocked = deferred();
  private readonly unlisten: () => void;

  constructor(private readonly options: AmqpPublisherOptions) {
    this.unlisten = options.connection.listen({ onBlocked: (reason) => this.blockedOr(reason) });
  }

  /** One outcome a message, in order. Never rejects. */
  publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    return this.send(messages.map((message) => this.tryPlace(message)));
  }

  /** Sends a message of the broker's anew, whatever it is. Never rejects. */
  resend(outgoing: OutgoingMessage, counters: Counters): Promise<readonly PublishOutcome[]> {
    return this.send([this.placeAsIs(outgoing, counters)]);
  }

  /** Throws UsageError for a message that cannot be sent. */
  place(outgoing: OutgoingMessage, counters: Counters = FRESH): PlacedMessage {
    checkOutgoing(outgoing, this.options.settings.maxMessageBytes);
    return this.placeAsIs(outgoing, counters);
  }

  /** The same for what is in the broker already. */
  placeAsIs(outgoing: OutgoingMessage, counters: Counters): PlacedMessage {
    const { queue } = outgoing;
    const seconds = delaySeconds(outgoing, Date.now());
    const isDelayed = seconds > 0;
    return {
      queue,
      isDelayed,
      exchange: isDelayed ? FIRST_EXCHANGE : '',
      key: isDelayed ? delayedKey(seconds, queue) : queue,
      body: bodyBytes(outgoing.message.body),
      options: taskOptions(outgoing, counters),
    };
  }

  /** Sends what `place` made. Never rejects. */
  async send(messages: readonly (PlacedMessage | PublishOutcome)[]): Promise<readonly PublishOutcome[]> {
    if (messages.length === 0) return [];
    const outcomes = Array.from<PublishOutcome>({ length: messages.length });
    const all = deferred();
    let left = messages.length;
    messages.forEach((message, index) => {
      const end = (outcome: PublishOutcome): void => {
        outcomes[index] = outcome;
        left -= 1;
        if (left === 0) all.resolve();
      };
      if ('status' in message) end(message);
      else this.dispatch(message, end, false);
    });
    await all.promise;
    return outcomes;
  }

  /** Waits a moment for what is under way. */
  async close(): Promise<void> {
    this.unlisten();
    const deadline = performance.now() + CLOSE_PATIENCE_MS;
    while (this.inFlight.size > 0 && performance.now() < deadline) await systemClock.sleep(10);
    clearTimeout(this.sweeper);
    for (const entry of this.inFlight) this.end(entry, unknown('the driver was closed'));
    this.unblocked.resolve();
  }

  private tryPlace(message: OutgoingMessage): PlacedMessage | PublishOutcome {
    try {
      return this.place(message);
    } catch (error) {
      return { status: 'refused', error: error as Error };
    }
  }

  /** At once where everything is there, which is the way of nearly all messages. */
  private dispatch(placed: PlacedMessage, end: InFlight['end'], again: boolean): void {
    const { channel } = this;
    if (channel !== undefined && this.options.connection.blockedBy === undefined && this.isReady(placed)) {
      this.transmit(channel, placed, end, again);
      return;
    }
    this.prepare(placed).then(
      (opened) => this.transmit(opened, placed, end, again),
      (error: unknown) => end({ status: 'refused', error: amqpError(error) }),
    );
  }

  private isReady({ queue, isDelayed }: PlacedMessage): boolean {
    const { topology } = this.options;
    return queue === undefined || (topology.has(queue) && (!isDelayed || topology.hasDelay(queue)));
  }

  private async prepare(placed: PlacedMessage): Promise<ConfirmChannel> {
    const { connection, topology } = this.options;
    const { queue } = placed;
    if (queue !== undefined && !this.isReady(placed)) {
      await (placed.isDelayed ? topology.ensureDelay(queue) : topology.ensureQueue(queue));
    }
    await connection.open();
    await this.waitUntilUnblocked();
    return this.channel ?? this.open();
  }

  private async waitUntilUnblocked(): Promise<void> {
    const { connection, settings } = this.options;
    const { blockedTimeoutMs } = settings;
    if (connection.blockedBy === undefined) return;
    const patience = new AbortController();
    const late = systemClock.sleep(blockedTimeoutMs, patience.signal).catch(() => undefined);
    await Promise.race([this.unblocked.promise, late]);
    patience.abort();
    const reason = connection.blockedBy;
    if (reason !== undefined) throw publishingBlocked(reason, blockedTimeoutMs, false);
  }

  private open(): Promise<ConfirmChannel> {
    this.opening ??= this.openChannel().finally(() => (this.opening = undefined));
    return this.opening;
  }

  private async openChannel(): Promise<ConfirmChannel> {
    const channel = await this.options.connection.createConfirmChannel();
    channel.on('return', (message: Message) => this.returned(message));
    channel.on('error', (error: Error & { readonly code?: unknown }) => {
      // An exchange of the levels was deleted.
      if (error.code === REPLY_CODES.notFound) this.options.topology.forgetAll();
    });
    channel.on('close', () => {
      if (this.channel === channel) this.channel = undefined;
    });
    this.channel = channel;
    return channel;
  }

  private transmit(channel: ConfirmChannel, placed: PlacedMessage, end: InFlight['end'], again: boolean): void {
    const entry: InFlight = { placed, end, sentAt: performance.now(), again, returned: undefined };
    try {
      channel.publish(placed.exchange, placed.key, placed.body, placed.options, (error: Error | null) =>
        this.confirmed(entry, error),
      );
    } catch (error) {
      end({ status: 'refused', error: unsendable(error) });
      return;
    }
    this.inFlight.add(entry);
    this.sweeper ??= setTimeout(() => this.sweep(), SWEEP_MS);
  }

  private confirmed(entry: InFlight, error: Error | null): void {
    if (!this.inFlight.has(entry)) return;
    if (error !== null) {
      const isNack = error.message.includes('nack');
      const fields = { queue: entry.placed.queue };
      if (!isNack) this.end(entry, unknown('the connection was lost before it confirmed the message'));
      else this.end(entry, refused('it refused it (nack); the queue is full, or has lost its majority', fields, true));
    } else if (entry.returned === undefined) {
      this.end(entry, { status: 'accepted' });
    } else this.sendAgain(entry, entry.returned);
  }

  /** The queue is gone, and was there when it was declared: it is declared again, once. */
  private sendAgain(entry: InFlight, reason: string): void {
    const { placed, again } = entry;
    if (again || placed.queue === undefined) {
      this.end(entry, refused(`it cannot be routed (${reason})`, { queue: placed.queue, key: placed.key }, true));
      return;
    }
    this.inFlight.delete(entry);
    this.options.topology.forget(placed.queue, entry.sentAt);
    if (placed.isDelayed) this.options.topology.forgetLevels(entry.sentAt);
    this.dispatch(placed, entry.end, true);
  }

  /** It comes before the confirmation of the same message. */
  private returned({ fields, properties }: Message): void {
    const { replyText } = fields as unknown as { replyText?: string };
    for (const entry of this.inFlight) {
      const { exchange, key, options } = entry.placed;
      if (entry.returned !== undefined || exchange !== fields.exchange || key !== fields.routingKey) continue;
      if (options.messageId !== properties.messageId) continue;
      entry.returned = String(replyText ?? 'NO_ROUTE');
      return;
    }
  }

  private end(entry: InFlight, outcome: PublishOutcome): void {
    if (this.inFlight.delete(entry)) entry.end(outcome);
  }

  private blockedOr(reason: string | undefined): void {
    if (reason === undefined) {
      this.unblocked.resolve();
      return;
    }
    this.unblocked = deferred();
    this.blockedAt = performance.now();
    if (this.options.settings.blockedTimeoutMs === 0) this.giveUp();
  }

  private sweep(): void {
    this.sweeper = undefined;
    this.giveUp();
    if (this.inFlight.size > 0) this.sweeper = setTimeout(() => this.sweep(), SWEEP_MS);
  }

  /** Ends what has waited for its confirmation too long. */
  private giveUp(): void {
    const { connection, settings } = this.options;
    const { blockedTimeoutMs, confirmTimeoutMs } = settings;
    const now = performance.now();
    const reason = connection.blockedBy;
    const isBlocked = reason !== undefined && now - this.blockedAt >= blockedTimeoutMs;
    for (const entry of this.inFlight) {
      const waited = now - entry.sentAt;
      if (isBlocked && waited >= blockedTimeoutMs) {
        this.end(entry, { status: 'unknown', error: publishingBlocked(reason, blockedTimeoutMs, true) });
      } else if (waited >= confirmTimeoutMs) {
        this.end(entry, unknown(`it did not confirm the message within ${confirmTimeoutMs} ms`));
      }
    }
  }
}

function unknown(reason: string): PublishOutcome {
  return { status: 'unknown', error: fateUnknown(reason) };
}

function refused(reason: string, fields: Readonly<Record<string, unknown>>, retryable: boolean): PublishOutcome {
  return { status: 'refused', error: publishRefused(reason, fields, retryable) };
}

/** Why the client did not even send it. */
function unsendable(error: unknown): Error {
  const { name, message } = error as Error;
  if (name === 'IllegalOperationError') return notConnected('the connection was lost');
  if (error instanceof RangeError && message.includes('exceeds')) {
    return new UsageError({
      code: 'MESSAGE_TOO_LARGE',
      message: 'The headers of the message are longer than 64 KiB.',
      remedy: 'Put the data into the arguments.',
      fields: { field: 'headers' },
    });
  }
  return publishRefused(`its headers cannot be written as AMQP tables (${message})`, { field: 'headers' });
}
