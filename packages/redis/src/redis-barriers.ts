import type { Arrival, ArrivalAnswer, Barrier, BarrierStore } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';

/** A barrier is one hash; see lua/barrier-open.lua. The server forgets it by itself. */
export class RedisBarriers implements BarrierStore {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
  ) {}

  async open(barriers: readonly Barrier[]): Promise<void> {
    await Promise.all(
      barriers.map(({ id, size, ttlMs, body }) => {
        const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64');
        return this.connection.run('barrier-open', [this.keys.barrier(id)], [size, Math.ceil(ttlMs), text]);
      }),
    );
  }

  arrive(arrivals: readonly Arrival[]): Promise<readonly (ArrivalAnswer | undefined)[]> {
    return Promise.all(
      arrivals.map(async ({ id, memberId }): Promise<ArrivalAnswer | undefined> => {
        const reply = await this.connection.run('barrier-arrive', [this.keys.barrier(id)], [memberId]);
        if (reply === null) return undefined;
        const [arrived, size, body] = reply as readonly [number, number, string?];
        return body === undefined
          ? { completed: false, arrived, size }
          : { completed: true, arrived, size, body: Buffer.from(body, 'base64') };
      }),
    );
  }

  async discard(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.connection.command('unlink', this.keys.barrier(id))));
  }
}
