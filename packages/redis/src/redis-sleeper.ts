import type { Cluster, Redis } from 'ioredis';
import type { RedisConnection } from './redis-connection.js';
import { becomeReady, LONGEST_BLOCK_SECONDS, sendCommand } from './redis-connection.js';
import type { QueueKeys } from './redis-keys.js';

export interface RedisSleeperOptions {
  readonly connection: RedisConnection;
  /** Somebody rang for a queue that is or was slept for. Answers whether it was of use here; if not, it is handed on. */
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
  private readonly lines: Line[] = [];
  private queues: readonly QueueKeys[] = [];
  private wanted = false;
  private closed = false;

  constructor(private readonly options: RedisSleeperOptions) {}

  /**
   * From now on until `wake` somebody wants to be rung for these queues. A call that is under way does not hear for what it
   * was not begun with, until it ends: RedisDelay and RedisForeignWatch find that.
   */
  sleep(queues: readonly QueueKeys[]): void {
    this.wanted = true;
    this.queues = queues;
    // One call waits for keys of one slot only.
    const slots = this.options.connection.isCluster ? queues : [undefined];
    for (const slot of slots) {
      let line = this.lines.find((one) => one.slot === slot);
      if (line === undefined) this.lines.push((line = { slot, client: undefined, blocked: false }));
      if (!line.blocked) void this.block(line);
    }
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
    while (this.isFor(line) && !this.closed) {
      try {
        await this.once(line);
      } catch {
        await new Promise<void>((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
    line.blocked = false;
  }

  private isFor({ slot }: Line): boolean {
    return this.wanted && (slot === undefined || this.queues.includes(slot));
  }

  private async once(line: Line): Promise<void> {
    const client = await this.connected(line);
    const queues = line.slot === undefined ? this.queues : [line.slot];
    const args = [...queues.map((queue) => queue.wake), LONGEST_BLOCK_SECONDS];
    const rung = (await sendCommand(client, 'bzpopmin', args)) as readonly [string, string, string] | null;
    const queue = rung === null ? undefined : queues.find((one) => one.wake === rung[0]);
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

/** One connection. */
interface Line {
  /** In a cluster, the only queue it waits for. */
  readonly slot: QueueKeys | undefined;
  client: Redis | Cluster | undefined;
  /** A call is under way, or about to be. */
  blocked: boolean;
}
