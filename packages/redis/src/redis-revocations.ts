import type { Revocation, RevocationRequest, RevocationStore } from '@taskqueue/core';
import { resultWrite, revokedRecord } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { RedisQueues } from './redis-queues.js';

export interface RedisRevocationsOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly queues: RedisQueues;
}

/**
 * Messages of each list that one call looks through, at most, and how far the calls go. Those further back are left to
 * workers.
 */
const STRETCH = 1_000;
const FURTHEST = 10_000;
/** Tasks of one call, at most. */
const BATCH = 50;
/** Revocations that one call remembers or reads, at most. */
const REMEMBERED = 1_000;
/** Stands for the name of a task that only its message tells. */
const NAME = 'taskqueue:name-of-the-task';

/**
 * Revoked ids in two sorted sets, numbered in the order in which they become visible. Numbers follow the server's clock,
 * so that they go on growing when its data was lost.
 *
 * A message that waits is taken out by a look through the first ten thousand of each list, because a list has no index;
 * delayed ones are found by id. What is further back, and everything in a cluster, where message and record are in
 * different slots, stays: the worker that receives it refuses it, because the revocation was remembered first.
 */
export class RedisRevocations implements RevocationStore {
  constructor(private readonly options: RedisRevocationsOptions) {}

  async revoke(requests: readonly RevocationRequest[]): Promise<readonly string[]> {
    if (requests.length === 0) return [];
    const { connection, keys } = this.options;
    const args = requests.flatMap(({ taskId, terminate, expiresAt }) => {
      const expires = Math.round(expiresAt);
      return [`${terminate ? 1 : 0} ${expires} ${taskId}`, expires];
    });
    for (let start = 0; start < args.length; start += 2 * REMEMBERED) {
      const some = args.slice(start, start + 2 * REMEMBERED);
      await connection.run('remember-revoked', [keys.revokedLog, keys.revokedExpiry], some);
    }
    const waiting = new Map(requests.filter((one) => one.waiting !== 'leave').map((one) => [one.taskId, one]));
    if (waiting.size === 0 || connection.isCluster) return [];
    const removed = await this.options.queues.each(async (queue) => {
      const ids = await this.takeOut(queue, [...waiting.values()]);
      for (const id of ids) waiting.delete(id);
      return ids;
    });
    return removed.flat();
  }

  async since(
    marker: string | undefined,
  ): Promise<{ readonly revocations: readonly Revocation[]; readonly marker: string }> {
    const { connection, keys } = this.options;
    const revocations: Revocation[] = [];
    let last = marker;
    for (let isMore = true; isMore;) {
      const range = [last === undefined ? '-inf' : `(${last}`, '+inf', 'limit', 0, REMEMBERED] as const;
      const members = (await connection.command('zrangebyscore', keys.revokedLog, ...range)) as string[];
      const now = Date.now();
      revocations.push(...members.map(revocation).filter((one) => one.expiresAt > now));
      last = members.at(-1)?.split(' ', 1)[0] ?? last;
      isMore = members.length === REMEMBERED;
    }
    return { revocations, marker: last ?? '0' };
  }

  private async takeOut(queue: QueueKeys, requests: readonly RevocationRequest[]): Promise<string[]> {
    const removed: string[] = [];
    for (let start = 0; start < requests.length; start += BATCH) {
      let left = requests.slice(start, start + BATCH);
      for (let from = 0; from >= 0 && from < FURTHEST && left.length > 0;) {
        const [ids, next] = await this.lookThrough(queue, left, from);
        removed.push(...ids);
        left = left.filter((one) => !ids.includes(one.taskId));
        from = next;
      }
    }
    return removed;
  }

  private async lookThrough(
    queue: QueueKeys,
    requests: readonly RevocationRequest[],
    from: number,
  ): Promise<readonly [readonly string[], number]> {
    const { connection, keys } = this.options;
    const own = [...queue.ready, queue.suspects, queue.delayed, queue.delayedMessages, queue.ids, queue.wake];
    const results = requests.map((one) => keys.result(one.taskId));
    const args = requests.flatMap((one) => recordArguments(queue, one));
    const answer = await connection.run('revoke', [...own, ...results], [from, STRETCH, ...args]);
    return answer as [string[], number];
  }
}

/** The record of a revoked task, but for what its message tells. */
function recordArguments(queue: QueueKeys, request: RevocationRequest): (string | number)[] {
  const { taskId, recordExpiresAt: expiresAt, waiting } = request;
  if (waiting !== 'record') return [taskId, '', '', '', ''];
  const record = revokedRecord({ taskId, name: NAME, queue: queue.queue, run: 0, doneAt: Date.now() });
  const { rank, expires, tail } = resultWrite(expiresAt === undefined ? record : { ...record, expiresAt });
  const [before = '', after = ''] = tail.split(JSON.stringify(NAME));
  return [taskId, rank, expires, before, after];
}

/** `<position> <terminate> <expires> <task id>` */
function revocation(member: string): Revocation {
  const [, terminate, expires] = member.split(' ', 3);
  const taskId = member.slice(member.split(' ', 3).join(' ').length + 1);
  return { taskId, terminate: terminate === '1', expiresAt: Number(expires) };
}
