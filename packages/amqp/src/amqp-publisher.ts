import type { ConfirmChannel, Message, Options } from 'amqplib';
import type { OutgoingMessage, PublishOutcome } from '@taskqueue/core';
import { bodyBytes, deferred, systemClock, UsageError } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { delayOf, entranceOf } from './amqp-delay.js';
import type { AmqpDelayTopology } from './amqp-delay-topology.js';
import { amqpError, fateUnknown, notConnected, publishingBlocked, publishRefused, queueSilent } from './amqp-errors.js';
import { AmqpLane } from './amqp-lane.js';
import type { Counters } from './amqp-message.js';
import { checkOutgoing, FRESH, taskOptions } from './amqp-message.js';
import type { ResolvedAmqpOptions } from './amqp-options.js';
import { AmqpSilentQueues } from './amqp-silent-queues.js';
import type { AmqpTopology } from './amqp-topology.js';

export interface AmqpPublisherOptions {
  readonly connection: AmqpConnection;
  /** For delayed messages; it is opened with the first of them. */
  readonly delaying: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly delays: AmqpDelayTopology;
  readonly settings: ResolvedAmqpOptions;
}

/** A message as it goes over the wire. */
export interface PlacedMessage {
  /** Whose topology has to be there: undefined for what finds its way without. */
  readonly queue: string | undefined;
  /** The queue of the levels of delay that it waits in first; undefined for what is due. */
  readonly waitsIn: string | undefined;
  readonly exchange: string;
  readonly key: string;
  readonly body: Buffer;
  readonly options: Options.Publish;
}

/** A publication that the broker has not confirmed. */
interface InFlight {
  readonly placed: PlacedMessage;
  readonly lane: AmqpLane;
  readonly end: (outcome: PublishOutcome) => void;
  readonly sentAt: number;
  /** Sent once before, and returned. */
  readonly again: boolean;
  returned: string | undefined;
}

const SWEEP_MS = 500;
/** A look that comes so much too late was kept by a busy or frozen process, and confirmations may lie unread. */
const LATE_MS = 500;
const CLOSE_PATIENCE_MS = 1_000;

/**
 * Publishes with confirms and `mandatory`, on connections of its own: one for what is due, and one for delayed messages, so that
 * a level of delay that does not confirm holds up nothing else (see amqp-silent-queues.ts):
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
  private readonly plain: AmqpLane;
  private readonly delaying: AmqpLane;
  private readonly silent: AmqpSilentQueues;
  private readonly inFlight = new Set<InFlight>();
  /** When a queue confirmed something last, monotonic; of those for which something is in flight. */
  private readonly confirmedAt = new Map<string, number>();
  private sweeper: NodeJS.Timeout | undefined;
  private sweepDueAt = 0;

  constructor(private readonly options: AmqpPublisherOptions) {
    const { connection, delaying, delays, settings } = options;
    const { blockedTimeoutMs } = settings;
    const lane = (itsConnection: AmqpConnection): AmqpLane =>
      new AmqpLane({
        connection: itsConnection,
        blockedTimeoutMs,
        onReturn: (message) => this.returned(message),
        // One of the levels was deleted.
        onExchangeGone: () => delays.forgetAll(),
        onBlocked: () => {
          if (blockedTimeoutMs === 0) this.giveUp();
        },
      });
    this.plain = lane(connection);
    this.delaying = lane(delaying);
    this.silent = new AmqpSilentQueues(settings.confirmTimeoutMs);
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
    const delay = delayOf(outgoing, Date.now());
    const entrance = delay === undefined ? undefined : entranceOf(delay, queue);
    return {
      queue,
      waitsIn: entrance?.queue,
      exchange: entrance?.exchange ?? '',
      key: entrance?.key ?? queue,
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
    const deadline = performance.now() + CLOSE_PATIENCE_MS;
    while (this.inFlight.size > 0 && performance.now() < deadline) await systemClock.sleep(10);
    clearTimeout(this.sweeper);
    for (const entry of this.inFlight) this.end(entry, unknown('the driver was closed'));
    this.plain.close();
    this.delaying.close();
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
    const { waitsIn } = placed;
    const lane = waitsIn === undefined ? this.plain : this.delaying;
    if (waitsIn !== undefined && !this.silent.admits(waitsIn, performance.now())) {
      end({ status: 'refused', error: queueSilent(waitsIn, false) });
      return;
    }
    const channel = lane.ready;
    if (channel !== undefined && this.isReady(placed)) {
      this.transmit(channel, lane, placed, end, again);
      return;
    }
    this.prepare(lane, placed).then(
      (opened) => this.transmit(opened, lane, placed, end, again),
      (error: unknown) => end({ status: 'refused', error: amqpError(error) }),
    );
  }

  private isReady({ queue, waitsIn }: PlacedMessage): boolean {
    const { topology, delays } = this.options;
    return queue === undefined || (waitsIn === undefined ? topology.has(queue) : delays.has(queue));
  }

  private async prepare(lane: AmqpLane, placed: PlacedMessage): Promise<ConfirmChannel> {
    const { topology, delays } = this.options;
    const { queue, waitsIn } = placed;
    if (queue !== undefined && !this.isReady(placed)) {
      await (waitsIn === undefined ? topology.ensureQueue(queue) : delays.ensure(queue));
    }
    return lane.open();
  }

  private transmit(
    channel: ConfirmChannel,
    lane: AmqpLane,
    placed: PlacedMessage,
    end: InFlight['end'],
    again: boolean,
  ): void {
    const entry: InFlight = { placed, lane, end, sentAt: performance.now(), again, returned: undefined };
    try {
      channel.publish(placed.exchange, placed.key, placed.body, placed.options, (error: Error | null) =>
        this.confirmed(entry, error),
      );
    } catch (error) {
      end({ status: 'refused', error: unsendable(error) });
      return;
    }
    this.inFlight.add(entry);
    if (placed.waitsIn !== undefined && placed.queue !== undefined) this.options.delays.use(placed.queue);
    if (this.sweeper === undefined) this.sweepLater();
  }

  private confirmed(entry: InFlight, error: Error | null): void {
    if (!this.inFlight.has(entry)) return;
    const { waitsIn } = entry.placed;
    const isNack = error?.message.includes('nack') === true;
    if (error === null || isNack) {
      this.confirmedAt.set(waitingFor(entry), performance.now());
      if (waitsIn !== undefined) this.silent.remove(waitsIn);
    }
    if (error !== null) {
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
    if (placed.waitsIn === undefined) this.options.topology.forget(placed.queue, entry.sentAt);
    else this.options.delays.forget(placed.queue, entry.sentAt);
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

  private sweepLater(): void {
    this.sweepDueAt = performance.now() + SWEEP_MS;
    this.sweeper = setTimeout(() => this.sweep(), SWEEP_MS);
  }

  private sweep(): void {
    this.sweeper = undefined;
    if (performance.now() - this.sweepDueAt < LATE_MS) this.giveUp();
    if (this.inFlight.size > 0) this.sweepLater();
    else this.confirmedAt.clear();
  }

  /** Ends what has waited for its confirmation too long. What is sent at once is confirmed one after the other, so the last one counts. */
  private giveUp(): void {
    const { blockedTimeoutMs, confirmTimeoutMs } = this.options.settings;
    const now = performance.now();
    const silent = new Set<string>();
    for (const entry of this.inFlight) {
      const { lane, placed, sentAt } = entry;
      const blocked = lane.blockedTooLong(now);
      const since = Math.max(sentAt, this.confirmedAt.get(waitingFor(entry)) ?? 0);
      if (blocked !== undefined && now - sentAt >= blockedTimeoutMs) {
        this.end(entry, { status: 'unknown', error: publishingBlocked(blocked, blockedTimeoutMs, true) });
      } else if (now - since >= confirmTimeoutMs) {
        if (placed.waitsIn === undefined || lane.isBlocked) {
          this.end(entry, unknown(`it did not confirm the message within ${confirmTimeoutMs} ms`));
        } else silent.add(placed.waitsIn);
      }
    }
    if (silent.size > 0) this.silenced(silent, now);
  }

  /** What is on its way to other queues may be stuck behind that on this connection, and goes unconfirmed with it. */
  private silenced(queues: ReadonlySet<string>, now: number): void {
    for (const queue of queues) this.silent.add(queue, now);
    for (const entry of this.inFlight) {
      const { waitsIn } = entry.placed;
      if (waitsIn !== undefined && queues.has(waitsIn)) {
        this.end(entry, { status: 'unknown', error: queueSilent(waitsIn, true) });
      }
    }
    this.delaying.renew(`${[...queues].join(', ')} confirms nothing`);
  }
}

/** The queue that is to confirm it. */
function waitingFor({ placed }: InFlight): string {
  return placed.waitsIn ?? placed.key;
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
