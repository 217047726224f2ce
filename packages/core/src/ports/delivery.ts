import type { EncodedMessage } from '../message/encoded-message.js';
import type { OutgoingMessage } from './broker.js';
import type { ChordNews } from './chord-store.js';
import type { ResultRecord } from './result-backend.js';

/** One message leased to one consumer. Data only: it can be logged, queued and sent to a pool. */
export interface Delivery {
  /** Undecoded. */
  readonly message: EncodedMessage;
  readonly queue: string;
  /** The driver's own ticket; the fence is in it. */
  readonly receipt: unknown;
  /** How often this message has been delivered, this time included. Starts at 1 and grows; the fence of results. */
  readonly run: number;
  /** How often a runner of this message was lost before it settled. Absent where the broker cannot know. */
  readonly lostLeases?: number;
  readonly redelivered: boolean;
  /** When the broker accepted the message, epoch milliseconds, where it knows. */
  readonly enqueuedAt?: number;
}

/** What becomes of a delivery. `effects` are applied in the same step where `atomicCompletion` is offered. */
export type Settlement =
  | { readonly kind: 'ack'; readonly delivery: Delivery; readonly effects?: SettlementEffects }
  /** As if never received: same place in line, `lostLeases` unchanged, `run` goes on counting. */
  | { readonly kind: 'release'; readonly delivery: Delivery }
  /** The next form of the same task: retry, snooze, park until eta. Same id; `run` goes on counting, `lostLeases` starts anew. */
  | {
      readonly kind: 'replace';
      readonly delivery: Delivery;
      readonly message: OutgoingMessage;
      readonly effects?: SettlementEffects;
    }
  | {
      readonly kind: 'dead-letter';
      readonly delivery: Delivery;
      /** Short, for operators, e.g. `unknown task` or `lost 3 workers`. */
      readonly reason: string;
      readonly effects?: SettlementEffects;
    };

/** What rides with a settlement. */
export interface SettlementEffects {
  readonly results?: readonly ResultRecord[];
  readonly publish?: readonly OutgoingMessage[];
  /** For the worker alone: it is acted upon before, and drivers do not see it. */
  readonly chords?: ChordNews;
}

/** `lost`: the delivery is somebody else's by now, and nothing was done. */
export type SettleOutcome = 'settled' | 'lost';
/** Whether a lease still stands. */
export type ExtendOutcome = 'extended' | 'lost';
