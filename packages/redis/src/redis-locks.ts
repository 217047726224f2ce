import type { LockAnswer, LockHolder, LockPermit, LockRenewal, LockRequest, LockStore } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';

/** Permits as members of a sorted set; see lua/parts/lock.lua. The keys of a lock are in one slot. */
export class RedisLocks implements LockStore {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
  ) {}

  acquire(requests: readonly LockRequest[]): Promise<readonly LockAnswer[]> {
    return Promise.all(
      requests.map(async ({ key, owner, permits, ttlMs }): Promise<LockAnswer> => {
        const args = [owner, Math.trunc(permits), Math.ceil(ttlMs)];
        const reply = (await this.connection.run('lock-acquire', this.keys.lock(key), args)) as AcquireReply;
        if (reply[0] === 1) return { status: 'acquired', token: Number(reply[1]) };
        return { status: 'held', holder: { owner: reply[2], token: Number(reply[1]), expiresInMs: reply[3] } };
      }),
    );
  }

  renew(renewals: readonly LockRenewal[]): Promise<readonly ('renewed' | 'lost')[]> {
    return Promise.all(
      renewals.map(async ({ key, owner, token, ttlMs }) => {
        const args = [owner, token, Math.ceil(ttlMs)];
        return (await this.connection.run('lock-renew', this.keys.lock(key), args)) === 1 ? 'renewed' : 'lost';
      }),
    );
  }

  release(permits: readonly LockPermit[]): Promise<readonly ('released' | 'lost')[]> {
    return Promise.all(
      permits.map(async ({ key, owner, token }) => {
        return (await this.connection.run('lock-release', this.keys.lock(key), [owner, token])) === 1
          ? 'released'
          : 'lost';
      }),
    );
  }

  async holders(key: string): Promise<readonly LockHolder[]> {
    const reply = (await this.connection.run('lock-holders', this.keys.lock(key))) as (string | number)[];
    const holders: LockHolder[] = [];
    for (let at = 0; at < reply.length; at += 3) {
      holders.push({ owner: String(reply[at]), token: Number(reply[at + 1]), expiresInMs: Number(reply[at + 2]) });
    }
    return holders.sort((a, b) => a.token - b.token);
  }
}

type AcquireReply =
  readonly [granted: 1, token: string] | readonly [granted: 0, token: string, owner: string, ms: number];
