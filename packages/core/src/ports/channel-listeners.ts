import type { Logger } from '../ambient/logger.js';
import type { Channel, Publication } from './channel.js';
import { hears } from './channel.js';
import type { ChannelListener } from './pub-sub.js';

interface Entry {
  readonly channels: readonly Channel[];
  readonly listener: ChannelListener;
}

/** Who listens to what in this process: the part of a PubSub that is the same for every driver. */
export class ChannelListeners {
  private readonly entries = new Set<Entry>();

  constructor(private readonly logger: () => Logger) {}

  /** Adds a listener; call the answer to remove it. */
  add(channels: readonly Channel[], listener: ChannelListener): () => void {
    const entry = { channels: [...channels], listener };
    this.entries.add(entry);
    return () => void this.entries.delete(entry);
  }

  /**
   * Calls everybody who hears it, once each. Where a store brings a publication once for each subscription that fits,
   * `through` says whether it came through the one of this channel; the first that a listener hears it by counts.
   */
  deliver(publication: Publication, through: (channel: Channel) => boolean = () => true): void {
    for (const { channels, listener } of this.entries) {
      const heardBy = channels.find((channel) => hears(channel, publication.channel));
      if (heardBy === undefined || !through(heardBy)) continue;
      try {
        listener(publication);
      } catch (error) {
        this.logger().error(
          `A listener of ${publication.channel.exchange} failed: ${String(error)}`,
          error instanceof Error ? error.stack : undefined,
          'TaskQueue',
        );
      }
    }
  }
}
