import type { Message } from 'amqplib';
import type { Delivery, EncodedMessage } from '@taskqueue/core';
import type { AmqpInnocents } from './amqp-innocents.js';
import type { Counters } from './amqp-message.js';
import { idOf } from './amqp-message.js';
import type { AmqpSession } from './amqp-session.js';

/** A delivery that was handed out and is not settled. */
export interface Held {
  readonly delivery: Delivery;
  readonly session: AmqpSession;
  readonly message: Message;
  readonly counters: Counters;
  /** Deliveries since it was published, this one included. */
  readonly deliveries: number;
  /** The broker takes it with its counters in no case: it can only be given back as it is. */
  readonly uncountable: boolean;
  /** A settlement of it is under way. */
  busy: boolean;
  /** What takes its place is in the broker; only the acknowledgement is missing. */
  replaced: boolean;
  /** As which it is being sent to the dead letters. */
  letter: EncodedMessage | undefined;
}

/** What a delivery carries to find it again. A settled or lost one finds nothing. */
export interface Receipt {
  readonly session: number;
  readonly tag: number;
}

/** Everything that one consumer holds. */
export class AmqpHeld {
  private readonly byTag = new Map<number, Held>();
  private session = 0;

  constructor(private readonly innocents: AmqpInnocents) {}

  /** Number of the session whose deliveries are held. */
  get sessionNumber(): number {
    return this.session;
  }

  add(held: Held): void {
    this.byTag.set(held.message.fields.deliveryTag, held);
  }

  find({ receipt }: Delivery): Held | undefined {
    const { session, tag } = receipt as Receipt;
    return session === this.session ? this.byTag.get(tag) : undefined;
  }

  remove({ message }: Held): void {
    this.byTag.delete(message.fields.deliveryTag);
  }

  get all(): readonly Held[] {
    return [...this.byTag.values()];
  }

  get hasSuspect(): boolean {
    for (const { counters } of this.byTag.values()) if (counters.losses > 0) return true;
    return false;
  }

  /** Nothing of it can be settled any more. It comes back, and no task is to blame, since this process lives. */
  lose(): void {
    for (const { delivery, deliveries } of this.byTag.values()) {
      this.innocents.remember(delivery.queue, idOf(delivery.message), deliveries);
    }
    this.byTag.clear();
    this.session += 1;
  }
}
