import type { ResultRecord, Settlement } from '@taskqueue/core';
import { resultWrite } from '@taskqueue/core';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { Receipt } from './redis-lease.js';
import type { PlacedMessage, RedisPublisher } from './redis-publisher.js';
import { pushWrite } from './result-arguments.js';

/** A settlement as settle.lua takes it. */
export interface PreparedSettlement {
  readonly kind: 'ack' | 'release' | 'replace' | 'dead';
  readonly receipt: Receipt;
  readonly next: PlacedMessage | undefined;
  readonly reason: string | undefined;
  readonly results: readonly ResultRecord[];
  readonly followUps: readonly PlacedMessage[];
  /** About how many characters it is. */
  readonly size: number;
}

/** Throws UsageError for a message that cannot be sent. */
export function prepareSettlement(settlement: Settlement, publisher: RedisPublisher): PreparedSettlement {
  const receipt = settlement.delivery.receipt as Receipt;
  const effects = 'effects' in settlement ? settlement.effects : undefined;
  const followUps = (effects?.publish ?? []).map((message) => publisher.place(message));
  const next = settlement.kind === 'replace' ? publisher.place(settlement.message, settlement.delivery.run) : undefined;
  const results = effects?.results ?? [];
  return {
    kind: settlement.kind === 'dead-letter' ? 'dead' : settlement.kind,
    receipt,
    next,
    reason: settlement.kind === 'dead-letter' ? settlement.reason : undefined,
    results,
    followUps,
    size: [next, ...followUps].reduce((sum, one) => sum + (one?.tail.length ?? 0), 0) + 500 * results.length,
  };
}

/** Nothing but an acknowledgement: many of them go in one step. */
export function isPlainAck(settlement: Settlement): boolean {
  if (settlement.kind !== 'ack') return false;
  const { effects } = settlement;
  return effects === undefined || ((effects.results?.length ?? 0) === 0 && (effects.publish?.length ?? 0) === 0);
}

/** Keys and arguments of one call of settle.lua. */
export function settleArguments(
  settlements: readonly PreparedSettlement[],
  init: { readonly keys: RedisKeys; readonly consumer: string },
): { readonly keys: string[]; readonly args: (string | number)[] } {
  const queues = new Map<QueueKeys, number>();
  const numberOf = (queue: QueueKeys): number => {
    const known = queues.get(queue);
    if (known !== undefined) return known;
    queues.set(queue, queues.size);
    return queues.size - 1;
  };
  const results: string[] = [];
  const args: (string | number)[] = [];
  for (const { kind, receipt, next, reason, results: records, followUps } of settlements) {
    args.push(kind, numberOf(receipt.queue), receipt.field, receipt.id, records.length, followUps.length);
    if (next !== undefined) args.push(numberOf(next.queue), next.list, next.due, next.tail);
    if (reason !== undefined) args.push(reason);
    for (const record of records) {
      results.push(init.keys.result(record.taskId));
      pushWrite(args, resultWrite(record));
    }
    for (const one of followUps) args.push(numberOf(one.queue), one.list, one.id, one.due, one.tail);
  }
  const keys = [...queues.keys()].flatMap((queue) => settleKeys(queue, init.consumer));
  return { keys: [...keys, ...results], args: [queues.size, ...args] };
}

function settleKeys(queue: QueueKeys, consumer: string): string[] {
  return [
    ...queue.ready,
    queue.suspects,
    queue.leased(consumer),
    queue.ids,
    queue.delayed,
    queue.delayedMessages,
    queue.dead,
    queue.deadMessages,
    queue.state,
    queue.wake,
  ];
}
