import { randomUUID } from 'node:crypto';
import type { Logger } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';

export interface RedisEpochOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly logger: () => Logger;
  /** Queues that are consumed here. Each may be on another node of a cluster, and has a name of its own there. */
  readonly consumed: () => readonly string[];
  /** The data is not what it was. */
  readonly onLoss: () => void;
}

/**
 * Notices that the server, or a node of a cluster, has lost its data: it was started without its files, flushed, or replaced
 * by one that has none. Whoever comes first gives the data a random name that goes with it; another name, or none, is other
 * data.
 *
 * ```text
 *   NEW ──first check: name read or given──► KNOWN ──same name──► KNOWN
 *                                              └──another one──► said, everything made known anew ──► KNOWN
 * ```
 */
export class RedisEpoch {
  /** Key of a name → the name. */
  private readonly names = new Map<string, string>();
  private checking: Promise<void> | undefined;

  constructor(private readonly options: RedisEpochOptions) {}

  /** After each connection, when a queue begins to be consumed, and when leases have gone. Never rejects. */
  async check(): Promise<void> {
    const before = this.checking;
    const checking = (before ?? Promise.resolve()).then(() => this.compare());
    this.checking = checking;
    await checking;
    if (this.checking === checking) this.checking = undefined;
  }

  private async compare(): Promise<void> {
    const { connection, keys, consumed, logger, onLoss } = this.options;
    const queues = connection.isCluster ? [...new Set(consumed())] : [];
    const [server, ...ofQueues] = await this.areOther([keys.epoch, ...queues.map((queue) => keys.queue(queue).epoch)]);
    const others = queues.filter((_queue, index) => ofQueues[index] === true);
    if (server !== true && others.length === 0) return;
    const which = others.length === 0 ? '' : ` ${others.join(', ')}`;
    logger().warn(
      `Redis has lost the data of the queues${which} (it was restarted without it, flushed or replaced): waiting and leased ` +
        'tasks are gone, running ones are aborted. See to its persistence.',
      'TaskQueue',
    );
    onLoss();
  }

  private areOther(names: readonly string[]): Promise<boolean[]> {
    return Promise.all(names.map((key) => this.isOther(key)));
  }

  /** Is the data another than it was? A user who may not read the name, and a node that is away, say nothing. */
  private async isOther(key: string): Promise<boolean> {
    try {
      const known = this.names.get(key);
      const found = ((await this.options.connection.command('get', key)) as string | null) ?? (await this.give(key));
      this.names.set(key, found);
      return known !== undefined && found !== known;
    } catch {
      return false;
    }
  }

  private async give(key: string): Promise<string> {
    const { connection } = this.options;
    await connection.command('set', key, randomUUID(), 'nx');
    return (await connection.command('get', key)) as string;
  }
}
