import type { Cluster, Redis } from 'ioredis';
import type { Channel, Deferred } from '@taskqueue/core';
import { deferred, isTaskQueueError } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import { sendCommand } from './redis-connection.js';
import { notConnected, redisError } from './redis-errors.js';
import { isPattern } from './redis-channel.js';

/** A connection on which nothing is heard for this long is probed, so that a silent one is noticed. */
const PROBE_EVERY_MS = 3_000;

/** Something that was said. */
export interface Said {
  /** The channel or pattern by which it is heard. */
  readonly name: string;
  /** Who asked for that name first. */
  readonly source: Channel;
  /** The channel on which it was said. */
  readonly channel: string;
  readonly text: string;
}

/**
 * The connection that listens to channels and patterns of channels, for pub/sub; it is there while somebody listens. It
 * is not the one on which results are waited for, so that many events do not hold those up.
 *
 * ```text
 *   none ──first join──► CONNECTING ──ready──► SUBSCRIBING all names ──► LISTENING ──last leave──► none
 *                           ▲                        │ failed                │ lost, no answer to a probe
 *                           └────────────────────────┴───────────────────────┘  what is said meanwhile is missed
 * ```
 */
export class RedisEar {
  private client: Redis | Cluster | undefined;
  private probe: NodeJS.Timeout | undefined;
  private readonly names = new Map<string, Name>();

  constructor(
    private readonly connection: RedisConnection,
    private readonly onSaid: (said: Said) => void,
  ) {}

  /**
   * Listens to a channel of Redis, or a pattern. Resolves when the server has said so, also of one that is listened to
   * already: the connection may have died unnoticed. Rejects when it was left or closed before.
   */
  join(name: string, source: Channel): Promise<void> {
    const entry = this.names.get(name) ?? { source, users: 0, waiting: [] };
    this.names.set(name, entry);
    entry.users += 1;
    const heard = deferred();
    heard.promise.catch(() => undefined);
    entry.waiting.push(heard);
    this.client ??= this.open();
    if (this.client.status === 'ready') void this.listen(this.client, [name]);
    return heard.promise;
  }

  leave(name: string): void {
    const entry = this.names.get(name);
    if (entry === undefined) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    this.names.delete(name);
    for (const heard of entry.waiting) heard.reject(notConnected('the subscription was closed'));
    const { client } = this;
    if (this.names.size === 0) this.close();
    else if (client?.status === 'ready') {
      (isPattern(entry.source) ? client.punsubscribe(name) : client.unsubscribe(name)).catch(() => undefined);
    }
  }

  close(): void {
    clearInterval(this.probe);
    const { client } = this;
    this.client = undefined;
    client?.disconnect();
    for (const { waiting } of this.names.values()) {
      for (const heard of waiting) heard.reject(notConnected('the driver was closed'));
    }
    this.names.clear();
  }

  private open(): Redis | Cluster {
    const client = this.connection.duplicate('pubsub', { autoResubscribe: false });
    client.on('message', (channel: string, text: string) => this.said(client, { name: channel, channel, text }));
    client.on('pmessage', (name: string, channel: string, text: string) => this.said(client, { name, channel, text }));
    client.on('ready', () => void this.listen(client, [...this.names.keys()]));
    client.connect().catch(() => undefined);
    this.probe = setInterval(() => {
      if (client.status === 'ready') sendCommand(client, 'ping', []).catch(() => undefined);
    }, PROBE_EVERY_MS);
    this.probe.unref();
    return client;
  }

  /** A connection that was closed may still have something to say, which is not for those who came after. */
  private said(client: Redis | Cluster, said: Omit<Said, 'source'>): void {
    const source = this.names.get(said.name)?.source;
    if (source !== undefined && this.client === client) this.onSaid({ ...said, source });
  }

  private async listen(client: Redis | Cluster, names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.listenTo(client, name)));
  }

  private async listenTo(client: Redis | Cluster, name: string): Promise<void> {
    const entry = this.names.get(name);
    if (entry === undefined) return;
    try {
      await (isPattern(entry.source) ? client.psubscribe(name) : client.subscribe(name));
    } catch (error) {
      if (this.client !== client || client.status !== 'ready') return;
      const refusal = redisError(error, true);
      if (isTaskQueueError(refusal, 'CAPABILITY_UNSUPPORTED')) this.refused(name, refusal);
      else client.disconnect(true);
      return;
    }
    if (this.client === client && client.status === 'ready')
      for (const heard of entry.waiting.splice(0)) heard.resolve();
  }

  /** The user may not listen there, and asking again would not help. */
  private refused(name: string, refusal: Error): void {
    const entry = this.names.get(name);
    this.names.delete(name);
    for (const heard of entry?.waiting ?? []) heard.reject(refusal);
    if (this.names.size === 0) this.close();
  }
}

interface Name {
  readonly source: Channel;
  users: number;
  /** Who has not been told yet that the server listens for them. */
  readonly waiting: Deferred<void>[];
}
