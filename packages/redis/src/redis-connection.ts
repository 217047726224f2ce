import type { ClusterOptions, RedisOptions } from 'ioredis';
import { Cluster, Command, Redis } from 'ioredis';
import type { Logger } from '@taskqueue/core';
import { deferred } from '@taskqueue/core';
import { notConnected, redisError } from './redis-errors.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import type { ScriptName } from './redis-script.js';
import { callScript, scriptNamed } from './redis-script.js';

/** What a command or a script takes. */
export type RedisArgument = string | number;

/**
 * A silent server is given up after this long while an answer is due, and the connection made anew. Blocking calls end
 * by themselves before it ({@link LONGEST_BLOCK_SECONDS}).
 */
const SILENCE_MS = 6_000;
export const LONGEST_BLOCK_SECONDS = 4;
const CONNECT_TIMEOUT_MS = 5_000;
/** A Sentinel that says nothing for this long is passed over; the next one is asked. */
const SENTINEL_PATIENCE_MS = 2_000;
/** A command waits so long for a connection that is being made again. */
const RECONNECT_PATIENCE_MS = 2_000;
const LONGEST_RETRY_MS = 2_000;

/**
 * The connection that everything but waiting goes over; others are made by `duplicate`. It is made anew for ever:
 *
 * ```text
 *   open ──► READY ──lost, silent, READONLY, UNBLOCKED──► WAITING (50 ms … 2 s) ──► CONNECTING ──► READY
 *              │ commands under way fail: their fate is unknown        │ commands wait 2 s, then fail: nothing was sent
 *              └──close──► CLOSED
 * ```
 *
 * No command is sent twice by the client itself: whoever sent it knows whether it may be.
 */
export class RedisConnection {
  readonly isCluster: boolean;
  private main: Redis | Cluster | undefined;
  /** The client does not tell those who wait for it to be made again that it never will be. */
  private ended = deferred<never>();
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly options: ResolvedRedisOptions,
    private readonly logger: () => Logger,
  ) {
    this.isCluster = options.cluster !== undefined;
  }

  /** Connects. Rejects with BROKER_UNAVAILABLE when that fails at first. */
  async open(): Promise<void> {
    const client = createClient(this.options, 'main');
    this.watch(client);
    await connect(client);
    this.main = client;
    this.ended = deferred();
    this.ended.promise.catch(() => undefined);
    client.on('ready', () => {
      for (const listener of this.listeners) listener();
    });
  }

  /** Between `open` and `close`, whether or not the server can be reached just now. */
  get isOpen(): boolean {
    return this.main !== undefined;
  }

  /** Calls back each time the connection was made again. Returns the way to stop that. */
  onReconnect(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Calls a script. Its keys must be in one slot, where this is a cluster. Rejects with BrokerError. */
  run(name: ScriptName, keys: readonly string[], args: readonly RedisArgument[] = []): Promise<unknown> {
    return this.send((client) => callScript(client, scriptNamed(name), keys, args));
  }

  /** Sends a command. Rejects with BrokerError. */
  command(name: string, ...args: readonly RedisArgument[]): Promise<unknown> {
    return this.send((client) => sendCommand(client, name, args));
  }

  /** Sends commands right behind one another. Rejects with the error of the first that fails. Not in a cluster. */
  commands(list: readonly (readonly [string, ...RedisArgument[]])[]): Promise<unknown[]> {
    return this.send((client) => Promise.all(list.map(([name, ...args]) => sendCommand(client, name, args))));
  }

  /**
   * A connection of the caller's own to the same server, not yet connected; the caller closes it. It makes itself anew
   * as this one does.
   */
  duplicate(purpose: string, overrides: RedisOptions = {}): Redis | Cluster {
    this.client();
    const client = createClient(this.options, purpose, overrides);
    client.on('error', () => undefined);
    return client;
  }

  /** Each server that holds data: itself, or the primaries of the cluster. */
  servers(): readonly Redis[] {
    const client = this.client();
    return client instanceof Cluster ? client.nodes('master') : [client];
  }

  /** Ends the connection, every command under way and all that wait for the connection. */
  close(): void {
    const client = this.main;
    if (client === undefined) return;
    this.main = undefined;
    client.disconnect();
    this.ended.reject(notConnected('the driver was closed'));
  }

  private client(): Redis | Cluster {
    if (this.main === undefined) throw notConnected('the driver is not connected: call connect() first');
    return this.main;
  }

  /** Without a step more than needed: everything goes through here. */
  private send<T>(call: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    const client = this.main;
    if (client?.status === 'ready') return call(client).catch(rejectAsSent);
    return this.sendLater(call);
  }

  private async sendLater<T>(call: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    const client = this.client();
    await Promise.race([becomeReady(client, RECONNECT_PATIENCE_MS), this.ended.promise]);
    return call(client).catch(rejectAsSent);
  }

  /** One line when the connection is lost, one when it is back. */
  private watch(client: Redis | Cluster): void {
    let last = '';
    let lost = false;
    client.on('error', (error: Error) => {
      last = error.message;
    });
    client.on('close', () => {
      if (lost || this.main !== client) return;
      lost = true;
      const reason = last === '' ? '' : `: ${last}`;
      this.logger().warn(`The connection to Redis was lost${reason}; it is made again.`, 'TaskQueue');
    });
    client.on('ready', () => {
      if (lost) this.logger().log('Redis is connected again.', 'TaskQueue');
      lost = false;
      last = '';
    });
  }
}

function rejectAsSent(error: unknown): never {
  throw redisError(error, true);
}

/** Resolves when the client is connected; rejects with BROKER_UNAVAILABLE and closes it when the first try fails. */
export async function connect(client: Redis | Cluster): Promise<void> {
  let reason: string | undefined;
  const noPrimary = deferred<never>();
  const onSentinelError = (error: Error): void => {
    reason = error.message;
  };
  const onError = (error: Error): void => {
    reason ??= error.message;
    // The client itself would go on asking them for ever, and say nothing.
    if (error.message.startsWith('All sentinels are unreachable')) noPrimary.reject(error);
  };
  client.on('sentinelError', onSentinelError);
  client.on('error', onError);
  try {
    await Promise.race([client.connect(), noPrimary.promise]);
  } catch (error) {
    client.disconnect();
    throw notConnected(reason ?? (error instanceof Error ? error.message : String(error)));
  } finally {
    client.off('sentinelError', onSentinelError);
    client.off('error', onError);
  }
}

/** Resolves when the client is connected; rejects with BROKER_UNAVAILABLE after `ms`, or when it was closed. */
export function becomeReady(client: Redis | Cluster, ms: number): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      clearTimeout(timer);
      client.off('ready', onReady);
      client.off('end', onEnd);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onReady = (): void => done();
    const onEnd = (): void => done(notConnected('the connection was closed'));
    const timer = setTimeout(() => done(notConnected(`no connection within ${ms} ms`)), ms);
    client.on('ready', onReady);
    client.on('end', onEnd);
    if (client.status === 'end') onEnd();
  });
}

/** A command with a text for an answer, past the client's typed wrappers. Rejects with the client's own errors. */
export function sendCommand(client: Redis | Cluster, name: string, args: readonly RedisArgument[]): Promise<unknown> {
  return client.sendCommand(new Command(name, [...args], { replyEncoding: 'utf8' })) as Promise<unknown>;
}

/** A client that is not connected yet. */
export function createClient(
  options: ResolvedRedisOptions,
  purpose: string,
  overrides: RedisOptions = {},
): Redis | Cluster {
  const client = newClient(options, purpose, overrides);
  // Each command that waits for the connection listens: during an outage any number of them, and no leak.
  client.setMaxListeners(0);
  return client;
}

function newClient(options: ResolvedRedisOptions, purpose: string, overrides: RedisOptions): Redis | Cluster {
  const { cluster } = options;
  const single = { ...clientOptions(options.redis, purpose), ...overrides };
  if (cluster === undefined) return new Redis({ ...single, retryStrategy: retryAfter });
  const clusterOptions: ClusterOptions = {
    ...cluster.options,
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: retryAfter,
    // A command whose connection broke may have taken effect: that is for its sender to repeat.
    retryDelayOnFailover: 0,
    redisOptions: single,
  };
  return new Cluster([...cluster.nodes], clusterOptions);
}

function clientOptions(given: RedisOptions, purpose: string): RedisOptions {
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    ...given,
    protocol: 2,
    lazyConnect: true,
    disableClientInfo: true,
    connectionName: `taskqueue:${purpose}`,
    socketTimeout: SILENCE_MS,
    // Commands fail with their connection, and are not kept for the next one.
    enableOfflineQueue: false,
    sentinelCommandTimeout: SENTINEL_PATIENCE_MS,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    reconnectOnError: (error) => /READONLY|UNBLOCKED/.test(error.message),
  };
}

function retryAfter(times: number): number {
  return Math.min(LONGEST_RETRY_MS, 50 * 2 ** Math.min(times - 1, 6)) * (0.75 + Math.random() / 4);
}
