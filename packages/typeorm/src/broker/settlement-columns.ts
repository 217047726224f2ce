import type { Settlement } from '@taskqueue/core';
import { messageColumns } from '../sql/message-row.js';
import { resultColumns } from '../sql/result-row.js';
import { storable } from '../sql/text-table.js';
import type { ChangeColumns, ExchangeRequest, Fence } from './exchange.js';

/** What settlements ask of the database. */
export type SettlementColumns = Pick<ExchangeRequest, 'acks' | 'changes' | 'results' | 'messages'>;

/** Throws UsageError for a follow-up message that cannot be stored. */
export function settlementColumns(settlements: readonly Settlement[]): SettlementColumns {
  const acks: Fence[] = [];
  const changes: ChangeColumns[] = [];
  const results: ExchangeRequest['results'][number][] = [];
  const messages: ExchangeRequest['messages'][number][] = [];
  for (const settlement of settlements) {
    const { id, run } = settlement.delivery.receipt as Fence;
    if (settlement.kind === 'ack') acks.push({ id, run });
    else changes.push(changeColumns(settlement, { id, run }));
    if (!('effects' in settlement) || settlement.effects === undefined) continue;
    for (const record of settlement.effects.results ?? []) results.push({ ...resultColumns(record), owner: id });
    for (const message of settlement.effects.publish ?? []) messages.push({ ...messageColumns(message), owner: id });
  }
  return { acks, changes, results, messages };
}

/** Several settle calls as one. */
export function joined(parts: readonly SettlementColumns[]): SettlementColumns {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  return {
    acks: parts.flatMap((part) => part.acks),
    changes: parts.flatMap((part) => part.changes),
    results: parts.flatMap((part) => part.results),
    messages: parts.flatMap((part) => part.messages),
  };
}

function changeColumns(settlement: Exclude<Settlement, { kind: 'ack' }>, { id, run }: Fence): ChangeColumns {
  if (settlement.kind === 'release') return { id, run, kind: 'release' };
  if (settlement.kind === 'dead-letter') {
    return { id, run, kind: 'dead', reason: storable(settlement.reason) };
  }
  const { task_id: _id, ...columns } = messageColumns(settlement.message);
  return { id, run, kind: 'replace', ...columns };
}
