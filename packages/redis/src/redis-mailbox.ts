import type { Cluster, Redis } from 'ioredis';
import { deferred, isTaskQueueError } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import { becomeReady, LONGEST_BLOCK_SECONDS, sendCommand } from './redis-connection.js';
import { notConnected, redisError } from './redis-errors.js';

export interface RedisMailboxOptions {
  readonly connection: RedisConnection;
  /** The set in which Kombu looks up where the exchange leads to, and our line in it. */
  readonly binding: string;
  readonly member: string;
  /** The list that it leads to. */
  readonly list: string;
  readonly onText: (text: string) => void;
}

const RETRY_MS = 200;
const CONNECT_PATIENCE_MS = 5_000;

/**
 * One list of Kombu's, with one reader: what is said on a `direct` channel, replies above all. A connection of its own
 * waits for it.
 *
 * ```text
 *   CONNECTING ──► BOUND (in the set) ──► WAITING at most 4 s ──text──► WAITING …
 *       ▲                ▲                    │ nothing: bound again, should the server have lost its data
 *       └── 200 ms ──────┴────────────────────┘ connection lost
 * ```
 */
export class RedisMailbox {
  private readonly bound = deferred();
  private client: Redis | Cluster | undefined;
  private closed = false;

  constructor(private readonly options: RedisMailboxOptions) {
    this.bound.promise.catch(() => undefined);
    void this.run();
  }

  /** Resolves when what is said is kept for us. */
  get ready(): Promise<void> {
    return this.bound.promise;
  }

  /** Stops reading, and leaves nothing behind where the server can be reached. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.client?.disconnect();
    this.bound.reject(notConnected('the subscription was closed'));
    const { connection, binding, member, list } = this.options;
    await Promise.all([connection.command('srem', binding, member), connection.command('unlink', list)]).catch(
      () => undefined,
    );
  }

  private async run(): Promise<void> {
    while (!this.closed) {
      try {
        await this.read();
      } catch (error) {
        const refusal = redisError(error, true);
        // The user may not read there, and asking again would not help.
        if (isTaskQueueError(refusal, 'CAPABILITY_UNSUPPORTED')) {
          this.bound.reject(refusal);
          return;
        }
        await new Promise<void>((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  private async read(): Promise<void> {
    const { connection, binding, member, list, onText } = this.options;
    if (this.client === undefined) {
      this.client = connection.duplicate('mailbox');
      await this.client.connect().catch(() => undefined);
    }
    await becomeReady(this.client, CONNECT_PATIENCE_MS);
    await sendCommand(this.client, 'sadd', [binding, member]);
    this.bound.resolve();
    for (let text: string | undefined = ''; text !== undefined;) {
      const taken = (await sendCommand(this.client, 'brpop', [list, LONGEST_BLOCK_SECONDS])) as [string, string] | null;
      text = taken?.[1];
      if (text !== undefined && !this.closed) onText(text);
    }
  }
}
