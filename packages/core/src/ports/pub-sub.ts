import type { Channel, Publication } from './channel.js';

/**
 * Lossy fan-out between processes, for what nobody may rely on: events, commands to workers and their replies. Nothing is
 * kept for those who do not listen, what is said while a connection is broken is lost without a word, and there is no
 * promise of order. Whatever is built on it must get along with silence; what must arrive is a task.
 */
export interface PubSub {
  /** Celery's workers and monitors are on it, too. Default false: only this library is. */
  readonly heardByCelery?: boolean;
  /**
   * Resolves when the store has taken the publications, heard or not. Rejects with BROKER_UNAVAILABLE when it cannot be
   * reached, MESSAGE_TOO_LARGE for what it cannot carry (every store carries 512 KiB); nothing is tried again.
   */
  publish(publications: readonly Publication[]): Promise<void>;
  /**
   * Calls `listener` for what is said on the channels, by anybody, this process too, until it is closed; connections that
   * break are made anew. An error of the listener is logged and goes no further.
   */
  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription;
}

/** Hears what is said on a channel. Must not throw. */
export type ChannelListener = (publication: Publication) => void;

/** A subscription, until it is closed. */
export interface ChannelSubscription {
  /**
   * Resolves when the subscription is in force: what anybody says from then on is heard. Stays pending while the store
   * cannot be reached. Rejects with BROKER_UNAVAILABLE when the subscription or its driver is closed before that, or the
   * driver was not connected, with CAPABILITY_UNSUPPORTED when the user may not listen there. It may be ignored.
   */
  readonly ready: Promise<void>;
  /** Idempotent. The listener is not called any more, from this call on. */
  close(): Promise<void>;
}
