import type { Cluster, Redis } from 'ioredis';
import type { RedisConnection } from './redis-connection.js';
import { becomeReady, LONGEST_BLOCK_SECONDS, sendCommand } from './redis-connection.js';
import type { QueueKeys } from './redis-keys.js';

export interface RedisSleeperOptions {
  readonly connection: RedisConnection;
  readonly queues: readonly QueueKeys[];
  /** Somebody rang for one of the queues. Answers whether it was of use here; if not, it is handed on. */
  readonly onRing: (queue: QueueKeys) => boolean;
}

const RETRY_MS = 200;
const CONNECT_PATIENCE_MS = 5_000;

/**
 * Waits on a connection of its own until somebody rings for a queue. The bell of a queue is a marker in a sorted set:
 * whoever publishes puts it there, and `BZPOPMIN` gives it to one sleeper, or keeps it for the next one. So a message
 * wakes one consumer and not all, and what is published while nobody sleeps wakes who wants to sleep next.
 *
 * The lists themselves cannot be waited for: a blocking pop takes the message away before its lease is written, and it
 * would be lost with the connection; `BLMOVE` does not, but waits for one list only, and a queue has five. Keyspace
 * notifications are off by default. A message that Python pushes rings no bell; see redis-foreign-watch.ts.
 *
 * ```text
 *   AWAKE ──sleep──► BLOCKED (at most 4 s) ──ring──► AWAKE
 *              ▲        │ nothing, while a consumer waits
 *              └────────┤ connection lost, UNBLOCKED: after 200 ms
 *                       └ rung, and nobody waits any more: the marker is put back for others
 * ```
 */
export class RedisSleeper {
  private readonly lines: Line[];
  private wanted = false;
  private closed = false;

  constructor(private readonly options: RedisSleeperOptions) {
    const { connection, queues } = options;
    // One call waits for keys of one slot only.
    const groups = connection.isCluster ? queues.map((queue) => [queue]) : [queues];
    this.lines = groups.map((group) => ({ queues: group, client: undefined, blocked: false }));
  }

  /** From now on until `wake` somebody wants to be rung for. */
  sleep(): void {
    this.wanted = true;
    for (const line of this.lines) if (!line.blocked) void this.block(line);
  }

  /** Nobody waits any more. A call under way goes on until it ends; what it brings is handed on. */
  wake(): void {
    this.wanted = false;
  }

  close(): void {
    this.closed = true;
    for (const line of this.lines) line.client?.disconnect();
  }

  private async block(line: Line): Promise<void> {
    line.blocked = true;
    while (this.wanted && !this.closed) {
      try {
        await this.once(line);
      } catch {
        await new Promise<void>((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
    line.blocked = false;
  }

  private async once(line: Line): Promise<void> {
    const client = await this.connected(line);
    const args = [...line.queues.map((queue) => queue.wake), LONGEST_BLOCK_SECONDS];
    const rung = (await sendCommand(client, 'bzpopmin', args)) as readonly [string, string, string] | null;
    const queue = rung === null ? undefined : line.queues.find((one) => one.wake === rung[0]);
    if (queue === undefined || (this.wanted && !this.closed && this.options.onRing(queue))) return;
    await this.options.connection.command('zadd', queue.wake, 0, '0');
  }

  private async connected(line: Line): Promise<Redis | Cluster> {
    if (line.client === undefined) {
      line.client = this.options.connection.duplicate('sleeper');
      await line.client.connect().catch(() => undefined);
    }
    await becomeReady(line.client, CONNECT_PATIENCE_MS);
    if (this.closed) line.client.disconnect();
    return line.client;
  }
}

/** One connection, and the queues it waits for. */
interface Line {
  readonly queues: readonly QueueKeys[];
  client: Redis | Cluster | undefined;
  /** A call is under way, or about to be. */
  blocked: boolean;
}
