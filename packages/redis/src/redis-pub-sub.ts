import type { Channel, ChannelListener, ChannelSubscription, Logger, Publication, PubSub } from '@taskqueue/core';
import { ChannelListeners, deferred } from '@taskqueue/core';
import { readPublication, writePublication } from './kombu-publication.js';
import type { RedisConnection } from './redis-connection.js';
import type { Said } from './redis-ear.js';
import { RedisEar } from './redis-ear.js';
import { notConnected } from './redis-errors.js';
import type { RedisKeys } from './redis-keys.js';
import { KOMBU_SEPARATOR } from './redis-keys.js';
import { channelName } from './redis-channel.js';
import { RedisMailbox } from './redis-mailbox.js';

export interface RedisPubSubOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  /** Number of the database. Channels are the same for all of them, so Kombu puts it into their names. */
  readonly database: number;
  readonly logger: () => Logger;
}

/** What nobody takes out of a list is forgotten after this long. */
const MAILBOX_TTL_MS = 60_000;

/**
 * Pub/sub in Kombu's names, so that Celery's workers, clients and monitors hear us and we hear them: `fanout` and `topic`
 * are channels of Redis; `direct` is a list, which Kombu looks up in a set. See redis-keys.ts.
 */
export class RedisPubSub implements PubSub {
  readonly heardByCelery = true;
  private readonly listeners: ChannelListeners;
  private readonly ear: RedisEar;
  private readonly mailboxes = new Set<RedisMailbox>();

  constructor(private readonly options: RedisPubSubOptions) {
    this.listeners = new ChannelListeners(options.logger);
    this.ear = new RedisEar(options.connection, (said) => this.hear(said));
  }

  async publish(publications: readonly Publication[]): Promise<void> {
    const texts = publications.map(writePublication);
    const lists = new Map<string, Promise<readonly string[]>>();
    await Promise.all(
      publications.map(({ channel }, index) => {
        const text = texts[index] as string;
        return channel.kind === 'direct' ? this.post(channel, text, lists) : this.say(channel, text);
      }),
    );
  }

  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription {
    const state = deferred();
    state.promise.catch(() => undefined);
    if (!this.options.connection.isOpen) {
      state.reject(notConnected('the driver is not connected'));
      return { ready: state.promise, close: () => Promise.resolve() };
    }
    const remove = this.listeners.add(channels, listener);
    const names = new Map(channels.filter(isHeard).map((channel) => [channelName(channel, this.options), channel]));
    const direct = new Map(channels.filter(isDirect).map((channel) => [queueOf(channel), channel]));
    const mailboxes = [...direct.values()].map((channel) => this.openMailbox(channel));
    const joined = [...names].map(([name, channel]) => this.ear.join(name, channel));
    Promise.all([...joined, ...mailboxes.map((mailbox) => mailbox.ready)]).then(
      () => state.resolve(),
      (error: unknown) => state.reject(error),
    );
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      remove();
      state.reject(notConnected('the subscription was closed'));
      for (const name of names.keys()) this.ear.leave(name);
      await Promise.all(mailboxes.map((mailbox) => this.closeMailbox(mailbox)));
    };
    return { ready: state.promise, close: () => (closing ??= close()) };
  }

  async close(): Promise<void> {
    this.ear.close();
    await Promise.all([...this.mailboxes].map((mailbox) => this.closeMailbox(mailbox)));
  }

  private async say(channel: Channel, text: string): Promise<void> {
    const { connection, keys, database } = this.options;
    const key = channel.kind === 'fanout' ? '' : channel.key;
    await connection.command('publish', keys.channel(database, channel.exchange, key), text);
  }

  /** Puts it where Kombu would; nowhere when nobody has asked for it. */
  private async post(channel: Channel, text: string, lists: Map<string, Promise<readonly string[]>>): Promise<void> {
    const { connection, keys } = this.options;
    const binding = keys.binding(channel.exchange);
    const members = lists.get(binding) ?? (connection.command('smembers', binding) as Promise<readonly string[]>);
    lists.set(binding, members);
    for (const member of await members) {
      const [key, , queue] = member.split(KOMBU_SEPARATOR);
      if (key !== channel.key || queue === undefined) continue;
      const list = keys.list(queue);
      await Promise.all([connection.command('lpush', list, text), connection.command('pexpire', list, MAILBOX_TTL_MS)]);
    }
  }

  private openMailbox(channel: Channel): RedisMailbox {
    const { connection, keys } = this.options;
    const queue = queueOf(channel);
    const mailbox = new RedisMailbox({
      connection,
      binding: keys.binding(channel.exchange),
      member: [channel.key, '', queue].join(KOMBU_SEPARATOR),
      list: keys.list(queue),
      onText: (text) => {
        const message = readPublication(text);
        if (message !== undefined) this.listeners.deliver({ channel, message });
      },
    });
    this.mailboxes.add(mailbox);
    return mailbox;
  }

  private async closeMailbox(mailbox: RedisMailbox): Promise<void> {
    this.mailboxes.delete(mailbox);
    await mailbox.close();
  }

  /** Redis brings what is said once for each name that fits, a channel or a pattern. */
  private hear({ name, channel, source, text }: Said): void {
    const message = readPublication(text);
    if (message === undefined) return;
    const { keys, database } = this.options;
    const { kind, exchange } = source;
    const key = kind === 'fanout' ? '' : channel.slice(keys.channel(database, exchange, '').length + 1);
    this.listeners.deliver(
      { channel: { kind, exchange, key }, message },
      (heardBy) => channelName(heardBy, this.options) === name,
    );
  }
}

function isHeard(channel: Channel): boolean {
  return channel.kind !== 'direct';
}

function isDirect(channel: Channel): boolean {
  return channel.kind === 'direct';
}

/** As Celery names the queues of replies. */
function queueOf({ exchange, key }: Channel): string {
  return `${key}.${exchange}`;
}
