import type { ConfirmChannel, Message } from 'amqplib';
import type { Channel, ChannelListener, ChannelSubscription, Logger, Publication, PubSub } from '@taskqueue/core';
import { bodyBytes, bodySize, ChannelListeners, deferred } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { AmqpEar } from './amqp-ear.js';
import { amqpError, fateUnknown, notConnected, publishingBlocked } from './amqp-errors.js';
import { checkSize, openMessage, publishOptions } from './amqp-message.js';
import type { AmqpTopology } from './amqp-topology.js';

export interface AmqpPubSubOptions {
  readonly consuming: AmqpConnection;
  readonly publishing: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly maxMessageBytes: number;
  readonly logger: () => Logger;
}

/**
 * Pub/sub on exchanges, as Celery's workers, clients and monitors use them: its events, commands and replies are heard by
 * us, and ours by them. On channels of its own, so that nothing of it can close the channels that tasks travel on.
 */
export class AmqpPubSub implements PubSub {
  readonly heardByCelery = true;
  private readonly listeners: ChannelListeners;
  private readonly ear: AmqpEar;
  private readonly kinds = new Map<string, Channel['kind']>();
  private channel: ConfirmChannel | undefined;
  private opening: Promise<ConfirmChannel> | undefined;

  constructor(private readonly options: AmqpPubSubOptions) {
    const { consuming, topology, logger } = options;
    this.listeners = new ChannelListeners(logger);
    this.ear = new AmqpEar({ connection: consuming, topology, onMessage: (message) => this.hear(message) });
  }

  async publish(publications: readonly Publication[]): Promise<void> {
    const { publishing, topology, maxMessageBytes } = this.options;
    for (const { message } of publications) checkSize(bodySize(message.body), maxMessageBytes);
    if (publications.length === 0) return;
    const exchanges = new Map(publications.map(({ channel }) => [channel.exchange, channel.kind]));
    await Promise.all([...exchanges].map(([exchange, kind]) => topology.ensureExchange(exchange, kind)));
    await publishing.open();
    if (publishing.blockedBy !== undefined) throw publishingBlocked(publishing.blockedBy, 0, false);
    const channel = this.channel ?? (await this.open());
    try {
      await Promise.all(publications.map((publication) => this.say(channel, publication)));
    } catch (error) {
      // The exchange may be gone, which closes the channel.
      for (const exchange of exchanges.keys()) topology.forgetExchange(exchange);
      throw error;
    }
  }

  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription {
    const state = deferred();
    state.promise.catch(() => undefined);
    if (!this.options.consuming.isOpen) {
      state.reject(notConnected('the driver is not connected'));
      return { ready: state.promise, close: () => Promise.resolve() };
    }
    const remove = this.listeners.add(channels, listener);
    for (const { exchange, kind } of channels) this.kinds.set(exchange, kind);
    Promise.all(channels.map((channel) => this.ear.join(channel))).then(
      () => state.resolve(),
      (error: unknown) => state.reject(error),
    );
    let closing: Promise<void> | undefined;
    const leave = async (): Promise<void> => {
      remove();
      state.reject(notConnected('the subscription was closed'));
      await Promise.all(channels.map((channel) => this.ear.leave(channel)));
    };
    const close = (): Promise<void> => (closing ??= leave());
    return { ready: state.promise, close };
  }

  async close(): Promise<void> {
    await this.ear.close();
  }

  private say(channel: ConfirmChannel, { channel: { exchange, kind, key }, message }: Publication): Promise<void> {
    const routingKey = kind === 'fanout' ? '' : key;
    return new Promise((resolve, reject) => {
      const confirmed = (error: Error | null): void => {
        if (error === null) resolve();
        else reject(fateUnknown(error.message));
      };
      try {
        channel.publish(exchange, routingKey, bodyBytes(message.body), publishOptions(message), confirmed);
      } catch (error) {
        reject(amqpError(error));
      }
    });
  }

  private open(): Promise<ConfirmChannel> {
    this.opening ??= this.openChannel().finally(() => (this.opening = undefined));
    return this.opening;
  }

  private async openChannel(): Promise<ConfirmChannel> {
    const channel = await this.options.publishing.createConfirmChannel();
    channel.on('close', () => {
      if (this.channel === channel) this.channel = undefined;
    });
    this.channel = channel;
    return channel;
  }

  private hear(received: Message): void {
    const { exchange, routingKey } = received.fields;
    const kind = this.kinds.get(exchange);
    if (kind === undefined) return;
    const { message } = openMessage(received);
    this.listeners.deliver({ channel: { exchange, kind, key: kind === 'fanout' ? '' : routingKey }, message });
  }
}
