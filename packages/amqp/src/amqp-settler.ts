import { randomUUID } from 'node:crypto';
import type { Delivery, EncodedMessage, PublishOutcome, SettleOutcome, Settlement } from '@taskqueue/core';
import { bodyBytes, systemClock } from '@taskqueue/core';
import type { AmqpDeadExchange } from './amqp-dead-exchange.js';
import type { AmqpHeld, Held } from './amqp-held.js';
import type { AmqpInnocents } from './amqp-innocents.js';
import { epitaphHeaders, idOf, outgoingFrom, publishOptions, sendableId } from './amqp-message.js';
import type { AmqpPublisher, PlacedMessage } from './amqp-publisher.js';
import type { AmqpTopology } from './amqp-topology.js';
import { deadQueue } from './amqp-topology.js';

export interface AmqpSettlerOptions {
  readonly held: AmqpHeld;
  readonly innocents: AmqpInnocents;
  readonly publisher: AmqpPublisher;
  readonly topology: AmqpTopology;
  readonly deadExchange: AmqpDeadExchange;
}

/**
 * Ends what a consumer holds. AMQP has no step that publishes and acknowledges at once, so what takes a message's place is
 * confirmed first and the message acknowledged then; a crash in between leaves both.
 *
 * ```text
 *   HELD ──ack───────────────────────────────► acknowledged
 *    │ ├──release: never came back before────► given back to its place, and remembered
 *    │ ├──release: came back before, marked──► sent anew with its counters ─► acknowledged     (at the end of the line)
 *    │ ├──replace, dead-letter───────────────► sent ─confirmed─► acknowledged
 *    │ │                                         └─not taken: the call rejects, and may be repeated; still HELD
 *    └─channel lost──► (nothing): every settlement answers `lost`
 * ```
 *
 * A delivery is taken out of HELD before it is acknowledged, so there is no second acknowledgement, which would close the
 * channel and give everything else on it back.
 */
export class AmqpSettler {
  constructor(private readonly options: AmqpSettlerOptions) {}

  /** Rejects when something could not be sent: then nothing of this call was acknowledged, and it may be repeated. */
  async settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const claimed = settlements.map((settlement) => this.claim(settlement.delivery));
    try {
      const sends = settlements.map((settlement, index) => this.replacement(settlement, claimed[index]));
      if (sends.some((one) => one !== undefined)) await this.sendAll(sends, claimed);
      return settlements.map((settlement, index) => this.end(settlement, claimed[index]));
    } finally {
      for (const held of claimed) if (held !== undefined) held.busy = false;
    }
  }

  /** Sends what is marked anew, with its counters, before the channel gives the rest back. Each by itself: one that fails leaves no other twice. */
  async releaseSuspects(): Promise<void> {
    const suspects = this.options.held.all.filter((held) => !held.busy && cameBack(held));
    await Promise.allSettled(suspects.map(({ delivery }) => this.settle([{ kind: 'release', delivery }])));
  }

  private claim(delivery: Delivery): Held | undefined {
    const held = this.options.held.find(delivery);
    if (held === undefined || held.busy) return undefined;
    held.busy = true;
    return held;
  }

  private replacement(settlement: Settlement, held: Held | undefined): Promise<PlacedMessage> | undefined {
    if (held === undefined || held.replaced) return undefined;
    held.letter = undefined;
    switch (settlement.kind) {
      case 'ack':
        return undefined;
      case 'release':
        return cameBack(held) ? Promise.resolve(this.sameAgain(held)) : undefined;
      case 'replace': {
        const counters = { ...held.counters, runs: held.delivery.run, losses: 0, marked: false };
        return attempt(() => this.options.publisher.place(settlement.message, counters));
      }
      case 'dead-letter':
        return this.deadLetter(held, settlement.reason);
    }
  }

  private sameAgain({ delivery, counters }: Held): PlacedMessage {
    const outgoing = outgoingFrom(delivery.message, delivery.queue);
    return this.options.publisher.placeAsIs(outgoing, { ...counters, runs: delivery.run });
  }

  private async deadLetter(held: Held, reason: string): Promise<PlacedMessage> {
    const { queue } = held.delivery;
    await this.options.topology.ensureDead(queue);
    const letter = letterOf(held, reason);
    held.letter = letter;
    return {
      queue: undefined,
      waitsIn: undefined,
      exchange: '',
      key: deadQueue(queue),
      body: bodyBytes(letter.body),
      options: { ...publishOptions(letter), mandatory: true },
    };
  }

  private async sendAll(
    sends: readonly (Promise<PlacedMessage> | undefined)[],
    claimed: readonly (Held | undefined)[],
  ): Promise<void> {
    const indexes = sends.flatMap((send, index) => (send === undefined ? [] : [index]));
    const placed = await Promise.allSettled(indexes.map((index) => sends[index] as Promise<PlacedMessage>));
    const outcomes = await this.options.publisher.send(
      placed.map((one): PlacedMessage | PublishOutcome =>
        one.status === 'fulfilled' ? one.value : { status: 'refused', error: one.reason as Error },
      ),
    );
    let failure: Error | undefined;
    outcomes.forEach((outcome, position) => {
      const held = claimed[indexes[position] as number] as Held;
      if (!('error' in outcome)) {
        held.replaced = true;
        if (held.letter !== undefined) this.options.deadExchange.tell(held.delivery.queue, held.letter);
      } else {
        failure ??= outcome.error;
        // The queue of the dead may be gone.
        this.options.topology.forget(held.delivery.queue);
      }
    });
    if (failure !== undefined) throw failure;
  }

  private end(settlement: Settlement, held: Held | undefined): SettleOutcome {
    if (held === undefined || this.options.held.find(held.delivery) !== held) return 'lost';
    const { session, message, delivery, deliveries } = held;
    this.options.held.remove(held);
    if (settlement.kind === 'release' && !held.replaced) {
      this.options.innocents.remember(delivery.queue, idOf(delivery.message), deliveries);
      return session.giveBack(message) ? 'settled' : 'lost';
    }
    return session.ack(message) ? 'settled' : 'lost';
  }
}

/** Reason and counters are in its headers. It is kept for longer than its sender may have wished. */
function letterOf({ delivery, counters }: Held, reason: string): EncodedMessage {
  const { message, queue, run } = delivery;
  const { expiration: _expiration, ...properties } = message.properties;
  const epitaph = epitaphHeaders({ ...counters, runs: run }, { queue, reason, diedAt: systemClock.now() });
  return {
    ...message,
    headers: { ...message.headers, ...epitaph },
    properties: { ...properties, message_id: sendableId(message) ?? randomUUID(), delivery_mode: 2 },
  };
}

/** It would come back looking like what was lost. */
function cameBack({ counters, deliveries, uncountable }: Held): boolean {
  return !uncountable && (counters.marked || deliveries > 1);
}

async function attempt<T>(work: () => T): Promise<T> {
  return work();
}
