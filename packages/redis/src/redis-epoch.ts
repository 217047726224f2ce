import { randomUUID } from 'node:crypto';
import type { Logger } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';

export interface RedisEpochOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly logger: () => Logger;
  /** The data is not what it was. */
  readonly onLoss: () => void;
}

/**
 * Notices that the server has lost its data: it was started without its files, flushed, or replaced by one that has
 * none. Whoever comes first gives the data a random name that goes with it; another name, or none, is other data.
 *
 * ```text
 *   NEW ──first check: name read or given──► KNOWN ──same name──► KNOWN
 *                                              └──another one──► said, everything made known anew ──► KNOWN
 * ```
 */
export class RedisEpoch {
  private epoch: string | undefined;
  private checking: Promise<void> | undefined;

  constructor(private readonly options: RedisEpochOptions) {}

  /** After each connection, and when leases have gone. Never rejects: a user who may not read the name goes without. */
  check(): Promise<void> {
    this.checking ??= this.compare()
      .catch(() => undefined)
      .finally(() => (this.checking = undefined));
    return this.checking;
  }

  private async compare(): Promise<void> {
    const { connection, keys, logger, onLoss } = this.options;
    const found = (await connection.command('get', keys.epoch)) as string | null;
    if (found !== null && found === this.epoch) return;
    const wasKnown = this.epoch !== undefined;
    this.epoch = found ?? (await this.name());
    if (!wasKnown) return;
    logger().warn(
      'Redis has lost the data of the queues (it was restarted without it, flushed or replaced): waiting and leased ' +
        'tasks are gone, running ones are aborted. See to its persistence.',
      'TaskQueue',
    );
    onLoss();
  }

  private async name(): Promise<string> {
    const { connection, keys } = this.options;
    await connection.command('set', keys.epoch, randomUUID(), 'nx');
    return (await connection.command('get', keys.epoch)) as string;
  }
}
