import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys } from './redis-keys.js';
import type { Receipt } from './redis-lease.js';

/** Who exchanges. */
export interface ExchangeCaller {
  readonly connection: RedisConnection;
  readonly consumer: string;
  readonly leaseMs: number;
  /** Numbers of the lists in the order in which they are taken. */
  readonly order: string;
}

/** Queues that one call deals with, and their keys. */
export interface ExchangeGroup {
  readonly queues: readonly QueueKeys[];
  readonly keys: readonly string[];
}

export interface ExchangeRequest {
  /** What is acknowledged. */
  readonly receipts: readonly Receipt[];
  readonly want: number;
  /** How many of the wanted may be messages that lost a runner before: 0 or 1. */
  readonly suspects: 0 | 1;
  /** The first number for what is leased. */
  readonly number: number;
  /** What had been lost is put here. */
  readonly lost: Set<Receipt>;
}

/** See exchange.lua. */
export type ExchangeReply = readonly [
  status: number,
  nextDueMs: number,
  lost: readonly number[],
  claimed: readonly (number | readonly string[])[],
];

/** The queues of a group, with their keys in the order of exchange.lua. */
export function exchangeGroup(queues: readonly QueueKeys[], consumer: string): ExchangeGroup {
  return { queues, keys: queues.flatMap((queue) => keysOf(queue, consumer)) };
}

/** One call of exchange.lua. Rejects with BrokerError. */
export async function exchange(
  { connection, consumer, leaseMs, order }: ExchangeCaller,
  { queues, keys }: ExchangeGroup,
  { receipts, want, suspects, number, lost }: ExchangeRequest,
): Promise<ExchangeReply> {
  const ending = queues.map((queue) =>
    receipts.every((one) => one.queue === queue) ? receipts : receipts.filter((one) => one.queue === queue),
  );
  if (want === 0 && ending.every((one) => one.length === 0)) return [0, -1, [], []];
  const args: (string | number)[] = [consumer, leaseMs, want, suspects, number, order];
  for (const ended of ending) {
    args.push(ended.length);
    for (let at = 0; at < ended.length; at += 1) args.push((ended[at] as Receipt).field);
    for (let at = 0; at < ended.length; at += 1) args.push((ended[at] as Receipt).id);
  }
  const reply = (await connection.run('exchange', keys, args)) as ExchangeReply;
  const late = reply[2];
  for (let at = 0; at < late.length; at += 2) {
    const receipt = ending[late[at] as number]?.[late[at + 1] as number];
    if (receipt !== undefined) lost.add(receipt);
  }
  return reply;
}

function keysOf(queue: QueueKeys, consumer: string): string[] {
  return [
    ...queue.ready,
    queue.suspects,
    queue.leased(consumer),
    queue.consumers,
    queue.ids,
    queue.state,
    queue.delayed,
    queue.wake,
  ];
}
