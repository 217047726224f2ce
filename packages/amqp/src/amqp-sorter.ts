import type { Message } from 'amqplib';
import type { Delivery, Logger } from '@taskqueue/core';
import { isTaskQueueError, systemClock } from '@taskqueue/core';
import type { AmqpHeld, Receipt } from './amqp-held.js';
import type { AmqpInnocents } from './amqp-innocents.js';
import type { Counters, OpenedMessage } from './amqp-message.js';
import { idOf, openMessage, outgoingFrom } from './amqp-message.js';
import type { AmqpPublisher } from './amqp-publisher.js';
import type { AmqpSession, Arrival } from './amqp-session.js';

export interface AmqpSorterOptions {
  readonly held: AmqpHeld;
  readonly innocents: AmqpInnocents;
  readonly publisher: AmqpPublisher;
  readonly logger: () => Logger;
}

/** A suspect that cannot be handed out beside another one waits this long in the broker, where others may take it. */
const SUSPECT_PAUSE_MS = 1_000;
/** A message that cannot be marked because publishing is blocked is tried again after this long. */
const MARK_AGAIN_MS = 1_000;

/**
 * Decides of each message that arrives whether it is handed out, and counts. The broker counts little: a classic queue says
 * `redelivered` and not how often, and neither kind of queue says whether a message was given back, or lost with the process
 * that ran it. Giving back must never be blamed, so:
 *
 * ```text
 *   arrives ──not redelivered, or known to have been given back (amqp-innocents.ts)──► HANDED OUT
 *      │          └─ lost before, while another such one is held ──► put back for a second, counters kept
 *      └─redelivered otherwise──► put back at the end of the line as a new message that says so:
 *            the first time   `marked`, nobody is blamed: another process may have given it back
 *            once marked      `losses` + 1: what is marked is given back only with its counters (amqp-settler.ts)
 * ```
 *
 * What the broker refuses for good when it is sent anew, because its headers have become too long, is handed out uncounted and given
 * back as it is: otherwise nobody would ever run it.
 *
 * So a task that kills its process is counted from its second victim on, a release or a broker's restart is not, and a
 * message that came back cannot be handed out uncounted. `run` goes on counting over all of it.
 */
export class AmqpSorter {
  /** What is being put back, and what has come of it meanwhile: it may come before the broker confirms that it has it. */
  private readonly puttingBack = new Map<string, Arrival[]>();
  private readonly uncountable = new WeakSet<Message>();

  constructor(private readonly options: AmqpSorterOptions) {}

  /** Undefined for what is not handed out now. */
  sort(session: AmqpSession, arrival: Arrival): Delivery | undefined {
    const { held, innocents } = this.options;
    const { message, queue } = arrival;
    const opened = openMessage(message);
    const { counters } = opened;
    const early = this.puttingBack.get(keyOf(arrival, opened));
    if (early !== undefined) {
      early.push(arrival);
      return undefined;
    }
    const known = innocents.take(queue, idOf(opened.message));
    const before = deliveredBefore(arrival, opened, known);
    if (this.uncountable.has(message)) return this.hold(session, arrival, opened, before + 1);
    if (before > 0 && known === undefined) {
      const losses = counters.losses + (counters.marked ? 1 : 0);
      const marked = { ...counters, runs: counters.runs + before, losses, marked: true };
      void this.putBack(session, arrival, { opened, counters: marked });
      return undefined;
    }
    if (counters.losses > 0 && held.hasSuspect) {
      const waiting = { ...counters, runs: counters.runs + before };
      void this.putBack(session, arrival, { opened, counters: waiting, delayMs: SUSPECT_PAUSE_MS });
      return undefined;
    }
    return this.hold(session, arrival, opened, before + 1);
  }

  /** Gives back what was not asked for. Resolves when the broker has it. */
  async giveBack(session: AmqpSession, arrival: Arrival): Promise<void> {
    const opened = openMessage(arrival.message);
    const { counters } = opened;
    // It would look like what was lost, and be counted.
    const isCounted = counters.marked && !this.uncountable.has(arrival.message);
    if (isCounted && !arrival.message.fields.redelivered) await this.putBack(session, arrival, { opened, counters });
    else if (session.giveBack(arrival.message)) this.excuse(arrival, opened, 1);
  }

  /** What other processes have to know of messages that are given back here: their ids, and deliveries so far. */
  excuses(arrivals: readonly Arrival[]): (readonly [string, number])[] {
    return arrivals.flatMap((arrival) => {
      const opened = openMessage(arrival.message);
      const { known, before } = this.history(arrival, opened);
      return before === 0 || known !== undefined ? [[idOf(opened.message), before + 1] as const] : [];
    });
  }

  /** It was here, not handed out, when the channel was lost. */
  lost(arrival: Arrival): void {
    this.excuse(arrival, openMessage(arrival.message), 1);
  }

  /** It comes back, and what happened to it here is nobody's fault. What has come back before stays to be judged. */
  private excuse(arrival: Arrival, opened: OpenedMessage, deliveries: number): void {
    const { known, before } = this.history(arrival, opened);
    const id = idOf(opened.message);
    if (before === 0 || known !== undefined) this.options.innocents.remember(arrival.queue, id, before + deliveries);
  }

  private history(arrival: Arrival, opened: OpenedMessage): { known: number | undefined; before: number } {
    const known = this.options.innocents.look(arrival.queue, idOf(opened.message));
    return { known, before: deliveredBefore(arrival, opened, known) };
  }

  private hold(session: AmqpSession, { queue, message }: Arrival, opened: OpenedMessage, deliveries: number): Delivery {
    const { held } = this.options;
    const { counters } = opened;
    const run = counters.runs + deliveries;
    const receipt: Receipt = { session: held.sessionNumber, tag: message.fields.deliveryTag };
    const delivery: Delivery = {
      message: opened.message,
      queue,
      receipt,
      run,
      lostLeases: counters.losses,
      redelivered: run > 1,
      ...(counters.at === undefined ? {} : { enqueuedAt: counters.at }),
    };
    const uncountable = this.uncountable.has(message);
    const state = { busy: false, replaced: false, letter: undefined };
    held.add({ delivery, session, message, counters, deliveries, uncountable, ...state });
    return delivery;
  }

  /**
   * Sends it anew with these counters and acknowledges it, in this order: it may be there twice, and is never lost. What is
   * sent anew is not handed out here before the server has read the acknowledgement: a task that kills its process at once
   * would otherwise leave both, and be twice as many each time.
   */
  private async putBack(session: AmqpSession, arrival: Arrival, as: PutBack): Promise<void> {
    const key = keyOf(arrival, as.opened);
    const early: Arrival[] = this.puttingBack.get(key) ?? [];
    this.puttingBack.set(key, early);
    try {
      if (await this.resend(session, arrival, as)) await session.read();
      else {
        this.uncountable.add(arrival.message);
        early.unshift(arrival);
      }
    } finally {
      if (this.puttingBack.get(key) === early) this.puttingBack.delete(key);
      if (session.alive) session.bring(early.splice(0));
      else for (const one of early.splice(0)) this.lost(one);
    }
  }

  /** False when it was refused for good, and is still here. */
  private async resend(session: AmqpSession, { queue, message }: Arrival, as: PutBack): Promise<boolean> {
    const { publisher, logger } = this.options;
    const { opened, counters, delayMs } = as;
    const outgoing = { ...outgoingFrom(opened.message, queue), ...(delayMs === undefined ? {} : { delayMs }) };
    while (session.alive) {
      const [outcome] = await publisher.resend(outgoing, counters);
      if (outcome === undefined || outcome.status === 'accepted') break;
      const reason = 'error' in outcome ? outcome.error.message : outcome.status;
      const isForGood = 'error' in outcome && cannotBeWritten(outcome.error);
      const when = isForGood ? ', and is handed out all the same' : ' yet';
      logger().warn(`A message that came back to ${queue} cannot be counted${when}: ${reason}`, 'TaskQueue');
      if (isForGood) return false;
      await systemClock.sleep(MARK_AGAIN_MS);
    }
    session.ack(message);
    return true;
  }
}

/** Its headers are too long with the counters, or of a kind that the client reads and does not write. */
function cannotBeWritten(error: Error): boolean {
  return isTaskQueueError(error) && error.fields['field'] === 'headers';
}

interface PutBack {
  readonly opened: OpenedMessage;
  readonly counters: Counters;
  readonly delayMs?: number;
}

function keyOf({ queue }: Arrival, { message }: OpenedMessage): string {
  return `${queue} ${idOf(message)}`;
}

/** How often it was delivered since it was published, as far as anybody knows. */
function deliveredBefore({ message }: Arrival, opened: OpenedMessage, known: number | undefined): number {
  const flagged = message.fields.redelivered ? 1 : 0;
  return Math.max(known ?? 0, opened.deliveryCount ?? 0, flagged);
}
