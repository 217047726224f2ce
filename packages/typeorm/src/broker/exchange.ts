import type { MessageColumns } from '../sql/message-row.js';
import type { ResultColumns } from '../sql/result-row.js';
import type { Place } from './frontier.js';

/** Names one lease: the row and the delivery. It stands while the row has this `run` and a consumer. */
export interface Fence {
  readonly id: number;
  readonly run: number;
}

/** A settlement other than a plain acknowledgement. */
export type ChangeColumns =
  | (Fence & { readonly kind: 'release' })
  | (Fence & { readonly kind: 'dead'; readonly reason: string })
  | (Fence & { readonly kind: 'replace' } & Omit<MessageColumns, 'task_id'>);

/** One call to the database: what ended, and how much is wanted. */
export interface ExchangeRequest {
  /** Consumer row that takes the new leases. */
  readonly consumer: number;
  /** How long leases last, milliseconds. */
  readonly leaseMs: number;
  readonly acks: readonly Fence[];
  readonly changes: readonly ChangeColumns[];
  /** Effects; `owner` is the row whose settlement they belong to, and without which they are dropped. */
  readonly results: readonly (ResultColumns & { readonly owner: number })[];
  readonly messages: readonly (MessageColumns & { readonly owner: number })[];
  readonly queues: readonly string[];
  /** Where to start in each of the queues. */
  readonly places: readonly Place[];
  readonly want: number;
  /** How many of the wanted may be suspects (messages that were lost by a runner before): 0 or 1. */
  readonly suspects: number;
}

export interface ExchangeReply {
  /** Rows whose settlement came too late. */
  readonly lost: ReadonlySet<number>;
  /** In the order in which they are to be handed out. */
  readonly claimed: readonly RankedRow[];
  /** The consumer's row is gone: its lease ran out. Nothing was claimed. */
  readonly gone: boolean;
}

export interface ClaimedRow extends Fence {
  readonly task_id: string;
  readonly task: string;
  readonly queue: string;
  readonly lostLeases: number;
  readonly enqueuedAt: number;
  readonly envelope: string;
  readonly body: string;
}

/** A claimed row with what its place in line is decided by. */
export interface RankedRow extends ClaimedRow {
  readonly urgency: number;
}

/** In order: the subscription's queues, what was lost before, urgency, age. Statements that update return no order. */
export function inOrder(rows: RankedRow[], queues: readonly string[]): RankedRow[] {
  return rows.sort(
    (a, b) =>
      queues.indexOf(a.queue) - queues.indexOf(b.queue) ||
      Number(b.lostLeases > 0) - Number(a.lostLeases > 0) ||
      a.urgency - b.urgency ||
      a.id - b.id,
  );
}
