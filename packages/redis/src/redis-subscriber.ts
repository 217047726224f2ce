import type { Cluster, Redis } from 'ioredis';
import type { RedisConnection } from './redis-connection.js';
import { sendCommand } from './redis-connection.js';
import { isDenied, notConnected, redisError } from './redis-errors.js';

/** A connection on which nothing is heard for this long is probed, so that a silent one is noticed. */
const PROBE_EVERY_MS = 10_000;
const PATIENCE_MS = 5_000;
const UNKNOWN_ID = 0;

/**
 * The connection that listens to channels, made when the first one is asked for. Lossy: what is published while it is
 * made again is missed.
 */
export class RedisSubscriber {
  private client: Redis | Cluster | undefined;
  private connectionId: number | undefined;
  private probe: NodeJS.Timeout | undefined;
  private closed = false;
  private readonly channels = new Map<string, Set<(message: string) => void>>();
  private readonly listeners = new Set<() => void>();

  constructor(private readonly connection: RedisConnection) {}

  /** The server's number for this connection while it listens; undefined otherwise, in a cluster, and where it is not told. */
  get id(): number | undefined {
    return this.connectionId === UNKNOWN_ID ? undefined : this.connectionId;
  }

  /** Calls `listener` for each message on the channel, until the returned function is called. Resolves when it listens. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<() => void> {
    if (this.closed) throw notConnected('the driver was closed');
    const listeners = this.channels.get(channel) ?? new Set();
    this.channels.set(channel, listeners.add(listener));
    const stop = (): void => this.unsubscribe(channel, listener);
    try {
      const client = await this.listening();
      await client.subscribe(channel);
      return stop;
    } catch (error) {
      stop();
      const message = error instanceof Error ? error.message : String(error);
      throw isDenied(message) ? redisError(error, true) : notConnected(message);
    }
  }

  /** Calls back each time it listens on a new connection. */
  onListening(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.probe);
    this.client?.disconnect();
    this.connectionId = undefined;
    this.channels.clear();
    this.listeners.clear();
  }

  private unsubscribe(channel: string, listener: (message: string) => void): void {
    const listeners = this.channels.get(channel);
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return;
    this.channels.delete(channel);
    if (this.client?.status === 'ready') this.client.unsubscribe(channel).catch(() => undefined);
  }

  private listening(): Promise<Redis | Cluster> {
    const client = this.client ?? this.open();
    if (this.connectionId !== undefined) return Promise.resolve(client);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(notConnected(`no connection within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      const done = (error?: Error): void => {
        clearTimeout(timer);
        stop();
        if (error === undefined) resolve(client);
        else reject(error);
      };
      const stop = this.onListening(() => done());
    });
  }

  private open(): Redis | Cluster {
    const client = this.connection.duplicate('subscriber', { autoResubscribe: false });
    client.on('message', (channel: string, message: string) => {
      for (const listener of this.channels.get(channel) ?? []) listener(message);
    });
    client.on('ready', () => void this.listen(client).catch(() => client.disconnect(true)));
    client.on('close', () => (this.connectionId = undefined));
    client.connect().catch(() => undefined);
    this.client = client;
    this.probe = setInterval(() => {
      if (client.status === 'ready') sendCommand(client, 'ping', []).catch(() => undefined);
    }, PROBE_EVERY_MS);
    this.probe.unref();
    return client;
  }

  /** On each new connection. Its number must be asked for first: a connection that listens answers nothing else. */
  private async listen(client: Redis | Cluster): Promise<void> {
    const id = this.connection.isCluster ? UNKNOWN_ID : await idOf(client);
    const channels = [...this.channels.keys()];
    if (channels.length > 0) {
      await client.subscribe(...channels).catch((error: unknown) => listenToEach(client, channels, error));
    }
    this.connectionId = id;
    for (const listener of this.listeners) listener();
  }
}

/**
 * Each channel by itself, because one to which the user may not listen is refused together with all that were named with
 * it. Who asked for that one is told when asking again.
 */
async function listenToEach(client: Redis | Cluster, channels: readonly string[], error: unknown): Promise<void> {
  if (!isDenied(String(error))) throw error;
  const one = (channel: string): Promise<unknown> =>
    client.subscribe(channel).catch((refusal: unknown) => {
      if (!isDenied(String(refusal))) throw refusal;
    });
  await Promise.all(channels.map(one));
}

/** Who may not ask for it listens all the same. */
async function idOf(client: Redis | Cluster): Promise<number> {
  try {
    return Number(await sendCommand(client, 'client', ['id']));
  } catch (error) {
    if (!isDenied(String(error))) throw error;
    return UNKNOWN_ID;
  }
}
