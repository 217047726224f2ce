import type { Logger } from '../ambient/logger.js';
import type { Channel, Publication } from '../ports/channel.js';
import { ChannelListeners } from '../ports/channel-listeners.js';
import type { ChannelListener, ChannelSubscription, PubSub } from '../ports/pub-sub.js';

/** The pub/sub port in memory. */
export class MemoryPubSub implements PubSub {
  private readonly listeners: ChannelListeners;

  constructor(logger: () => Logger) {
    this.listeners = new ChannelListeners(logger);
  }

  publish(publications: readonly Publication[]): Promise<void> {
    // Not within the call: a listener that answers would otherwise be called from inside its own publication.
    for (const publication of publications) queueMicrotask(() => this.listeners.deliver(publication));
    return Promise.resolve();
  }

  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription {
    const remove = this.listeners.add(channels, listener);
    return { ready: Promise.resolve(), close: () => Promise.resolve(remove()) };
  }
}
