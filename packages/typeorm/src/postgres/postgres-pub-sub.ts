import { createHash, randomUUID } from 'node:crypto';
import type { Channel, ChannelListener, ChannelSubscription, Deferred, Logger, Publication } from '@taskqueue/core';
import { ChannelListeners, deferred } from '@taskqueue/core';
import type { OpenPubSub } from '../sql/late-pub-sub.js';
import { closedEarly } from '../sql/late-pub-sub.js';
import { readPublication, writePublication } from '../sql/publication-text.js';
import type { SqlStore } from '../sql/sql-store.js';
import { statement } from '../sql/sql-store.js';
import type { ListeningClient, PostgresListenerOptions } from './postgres-listener.js';
import { PostgresListener } from './postgres-listener.js';
import type { PostgresStore } from './postgres-store.js';

/** NOTIFY takes less than 8 000 bytes; the head of a piece is below 60. */
const PIECE_BYTES = 7_900;

/**
 * Pub/sub by NOTIFY. Each exchange has a channel of its own, and each `direct` key: a connection that listens hears all
 * that is said there, and the patterns are applied here. A process has one such connection for each exchange that it
 * listens to. A publication that is too long for one notification goes as several of one transaction, which arrive one
 * after another with nothing in between:
 *
 * ```text
 *   <id>/<index>/<count>:<text>
 * ```
 */
export class PostgresPubSub implements OpenPubSub {
  private readonly listeners: ChannelListeners;
  private readonly lines = new Map<string, Line>();

  constructor(
    private readonly store: PostgresStore,
    /** The same, in nobody's transaction. */
    private readonly detached: SqlStore,
    private readonly logger: () => Logger,
  ) {
    this.listeners = new ChannelListeners(logger);
  }

  async publish(publications: readonly Publication[]): Promise<void> {
    const notifications = publications.flatMap((publication) => {
      const name = this.channelName(publication.channel);
      return pieces(writePublication(publication)).map((piece) => ({ name, piece }));
    });
    if (notifications.length === 0) return;
    await this.detached.once(() =>
      statement('select pg_notify(name, piece) from unnest($1::text[], $2::text[]) as said(name, piece)', [
        notifications.map(({ name }) => name),
        notifications.map(({ piece }) => piece),
      ]),
    );
  }

  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription {
    const remove = this.listeners.add(channels, listener);
    const names = [...new Set(channels.map((channel) => this.channelName(channel)))];
    const ready = quietly();
    Promise.all(names.map((name) => this.join(name))).then(
      () => ready.resolve(),
      (error: unknown) => ready.reject(error),
    );
    let closing: Promise<void> | undefined;
    const leave = async (): Promise<void> => {
      remove();
      ready.reject(closedEarly());
      await Promise.all(names.map((name) => this.leave(name)));
    };
    return { ready: ready.promise, close: () => (closing ??= leave()) };
  }

  /** Notifications come by themselves. */
  changed(): void {}

  async close(): Promise<void> {
    const lines = [...this.lines.values()];
    this.lines.clear();
    await Promise.all(lines.map((line) => line.close()));
  }

  private join(name: string): Promise<void> {
    let line = this.lines.get(name);
    if (line === undefined) {
      const { pool } = this.store;
      line = new Line({
        Client: (pool as unknown as { Client: new (config: unknown) => ListeningClient }).Client,
        config: pool.options,
        channel: name,
        logger: this.logger,
        onText: (text) => this.listeners.deliver(readPublication(text)),
      });
      this.lines.set(name, line);
    }
    line.users += 1;
    return line.listening;
  }

  private async leave(name: string): Promise<void> {
    const line = this.lines.get(name);
    if (line === undefined) return;
    line.users -= 1;
    if (line.users > 0) return;
    this.lines.delete(name);
    await line.close();
  }

  /** A name of the database, hence the schema in it; at most 63 bytes, hence the digest. */
  private channelName({ kind, exchange, key }: Channel): string {
    const words = [this.store.schema, kind, exchange, ...(kind === 'direct' ? [key] : [])];
    return `taskqueue_${createHash('sha1').update(words.join('\0')).digest('hex')}`;
  }
}

type LineOptions = Pick<PostgresListenerOptions, 'Client' | 'config' | 'channel' | 'logger'> & {
  readonly onText: (text: string) => void;
};

/** One channel that this process listens to, and the pieces of what is being said there. */
class Line {
  users = 0;
  private state = quietly();
  private readonly listener: PostgresListener;
  private closed = false;
  private partial: { readonly id: string; text: string; next: number } | undefined;

  constructor(private readonly options: LineOptions) {
    this.listener = new PostgresListener({
      ...options,
      onNotification: (payload) => (payload === undefined ? this.connected() : this.take(payload)),
      onLost: () => this.lost(),
      meanwhile: 'what is said there is missed until it is back',
    });
    this.listener.start();
  }

  /** Resolves while the connection listens, or when it does again. */
  get listening(): Promise<void> {
    return this.state.promise;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.state.reject(closedEarly());
    await this.listener.stop();
  }

  private connected(): void {
    this.partial = undefined;
    this.state.resolve();
  }

  private lost(): void {
    const before = this.state;
    this.state = quietly();
    // Who still waits for the first connection waits for the next one.
    this.state.promise.then(
      () => before.resolve(),
      (error: unknown) => before.reject(error),
    );
  }

  private take(payload: string): void {
    // What still comes while the connection ends is not for those who listen to a new one.
    if (this.closed) return;
    const match = /^([^/]+)\/(\d+)\/(\d+):/.exec(payload);
    if (match === null) return;
    const [head, id, index, count] = [match[0], match[1] as string, Number(match[2]), Number(match[3])];
    if (index === 0) this.partial = { id, text: '', next: 0 };
    const { partial } = this;
    // The beginning was said before we listened.
    if (partial === undefined || partial.id !== id || partial.next !== index) return;
    partial.text += payload.slice(head.length);
    partial.next += 1;
    if (partial.next < count) return;
    this.partial = undefined;
    this.options.onText(partial.text);
  }
}

/** Nobody has to wait for it. */
function quietly(): Deferred<void> {
  const state = deferred();
  state.promise.catch(() => undefined);
  return state;
}

/** The text in pieces of plain ASCII, so that characters are bytes. */
function pieces(text: string): string[] {
  const ascii = text.replace(/[\u007f-\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  const count = Math.ceil(ascii.length / PIECE_BYTES);
  // Equal notifications of one transaction are delivered once, so each has a name.
  const id = randomUUID().slice(0, 13);
  return Array.from({ length: count }, (_, index) => {
    return `${id}/${index}/${count}:${ascii.slice(index * PIECE_BYTES, (index + 1) * PIECE_BYTES)}`;
  });
}
