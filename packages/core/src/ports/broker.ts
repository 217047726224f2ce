import type { Delivery, ExtendOutcome, SettleOutcome, Settlement } from './delivery.js';
import type { EncodedMessage } from '../message/encoded-message.js';

/**
 * What carries messages from clients to workers and keeps them until they are settled.
 *
 * Every message is at every instant in exactly one of four states, and every arrow is one atomic step of the store:
 *
 * ```text
 *   publish ──► DELAYED ──(eta)──► READY ──receive──► LEASED ──ack──────────► gone
 *           └──────────────────────►  ▲                 │ ├──release───────► READY (as if never received)
 *                                     │                 │ ├──replace───────► READY | DELAYED (retry, snooze)
 *                                     │                 │ └──dead-letter──► DEAD ──redrive──► READY
 *                                     └──── recover ◄───┘ lease ran out: lostLeases + 1
 * ```
 */
export interface Broker {
  readonly capabilities: BrokerCapabilities;
  /** Makes the queues known. Idempotent. A queue that exists with other arguments is `QUEUE_MISMATCH`. */
  declare(queues: readonly QueueDeclaration[]): Promise<void>;
  /**
   * Resolves after the broker has accepted each message durably (or, with `transaction`, after it has become part of
   * the caller's transaction). One outcome a message, in order; one bad message fails alone. Publishing a task id
   * that is still in the broker is `duplicate` where the capability `deduplicates` says so.
   */
  publish(messages: readonly OutgoingMessage[], options?: PublishOptions): Promise<readonly PublishOutcome[]>;
  /** Starts to consume. The consumer holds nothing until `receive` is called. */
  consume(subscription: Subscription): Promise<Consumer>;
  /**
   * Gives back what dead consumers left behind: messages whose lease ran out become READY with `lostLeases` + 1.
   * Absent where the broker does it by itself. Safe to call from many workers at once.
   */
  recover?(): Promise<RecoverReport>;
}

/** The receiving side of one worker. */
export interface Consumer {
  /**
   * At most `max` deliveries, at least one unless the signal aborts or a bounded wait passes (then none). A message
   * that was lost by a runner before (`lostLeases` > 0) comes alone: at most one such message is leased to a consumer
   * at a time, so that a task that kills its process cannot take its neighbours' blame. Rejects when the consumer was
   * closed before.
   */
  receive(request: ReceiveRequest): Promise<readonly Delivery[]>;
  /**
   * Ends leases. Fenced: a delivery whose lease was lost answers `lost` and nothing of it is applied, neither result
   * nor publication. One outcome a settlement, in order. Settling twice is `lost` the second time and harmless.
   */
  settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]>;
  /** Prolongs leases by `leaseMs` from now, by the store's clock. */
  extend(deliveries: readonly Delivery[], leaseMs: number): Promise<readonly ExtendOutcome[]>;
  /**
   * How a thread of its own can keep all leases of this consumer alive while the main thread is busy. Absent where
   * the store needs no such help.
   */
  readonly keepAlive?: KeepAlive;
  /** Releases what was received and not settled, at once, without counting it as lost. Idempotent. */
  close(): Promise<void>;
}

/** How much a consumer wants, and from where. */
export interface ReceiveRequest {
  readonly max: number;
  /**
   * From these queues only, in this order of preference, whichever the subscription names; each has been declared, and none
   * is named twice. A message of another queue is neither held meanwhile nor kept from others. Absent: the subscription's.
   */
  readonly queues?: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * A module that renews a consumer's leases from a worker thread. It exports `keepAlive(data): Promise<KeepAliveLoop>`
 * and opens its own connection.
 */
export interface KeepAlive {
  /** `file:` URL of the module. */
  readonly module: string;
  /** Structured-cloneable; handed to the module. */
  readonly data: unknown;
}

/** What a keep-alive module returns; called on the thread's own timer. */
export interface KeepAliveLoop {
  /** Renews; false when the lease was already lost. Throws when the store cannot be reached. */
  renew(leaseMs: number): Promise<boolean>;
  close(): Promise<void>;
}

/** Who consumes, from which queues, on what lease. */
export interface Subscription {
  /** Queue names in order of preference. */
  readonly queues: readonly string[];
  /** Unique name of this consumer, e.g. `worker@host#1`. */
  readonly consumerId: string;
  /** How long a lease lives without renewal, milliseconds. */
  readonly leaseMs: number;
  /** The longest time limit of the tasks that hold their message while they run, milliseconds; absent: none has one. */
  readonly longestRunMs?: number;
}

/** A queue to be there. */
export interface QueueDeclaration {
  readonly name: string;
}

/** A message on its way to a broker. */
export interface OutgoingMessage {
  /** Task id; also the key by which a broker with `deduplicates` recognises a repeated publication. */
  readonly id: string;
  /** Task name, for operators and indexes; the same as in the headers. */
  readonly task: string;
  readonly queue: string;
  /** 0 to 9, higher is more urgent. */
  readonly priority: number;
  /** Not before this instant, epoch milliseconds. */
  readonly eta?: number;
  /** Not before this many milliseconds from now by the store's clock. Wins over `eta` for the broker's decision. */
  readonly delayMs?: number;
  readonly message: EncodedMessage;
}

/** Options of one publication. */
export interface PublishOptions {
  /** The caller's transaction, as the driver knows it (TypeORM: an `EntityManager`). */
  readonly transaction?: unknown;
}

/**
 * - `accepted`: durable.
 * - `duplicate`: a message with this id is already there; it stands, this one was dropped.
 * - `refused`: definitely not accepted; `error` says why.
 * - `unknown`: the connection broke after sending; publish the same id again.
 */
export type PublishOutcome =
  | { readonly status: 'accepted' }
  | { readonly status: 'duplicate' }
  | { readonly status: 'refused'; readonly error: Error }
  | { readonly status: 'unknown'; readonly error: Error };

/** What a recovery did. */
export interface RecoverReport {
  /** Messages that went back to READY. */
  readonly recovered: number;
}

/** What a broker can do beyond what all can. */
export interface BrokerCapabilities {
  /** `native`: any delay; `maxMs`: at most that long, core parks the message in hops; `none`: core holds nothing, so eta is refused. */
  readonly delay: 'native' | { readonly maxMs: number } | 'none';
  /** Number of priority levels that are told apart; 0 = none. */
  readonly priorities: number;
  /** `renewable`: leases end by time and are extended; `connection`: they live as long as the connection. */
  readonly lease: 'renewable' | 'connection';
  /** `replace` is one step. Otherwise publish-then-ack, which may duplicate across a crash but never loses. */
  readonly atomicReplace: boolean;
  /**
   * `settle` and `publish` take effect together with the result records and follow-up messages that a settlement
   * carries, in one step with the result backend of the same driver.
   */
  readonly atomicCompletion: boolean;
  /** `publish` may join the caller's transaction. */
  readonly transactions: boolean;
  /** `Delivery.lostLeases` is counted. */
  readonly countsLostLeases: boolean;
  /** A repeated publication of a live id is recognised. */
  readonly deduplicates: boolean;
  /**
   * Only this library reads its queues: what serves other readers alone (`argsrepr`, `kwargsrepr`) is left out of
   * messages, and the worker derives it where a record wants it. Absent: Python workers and monitors may read them.
   */
  readonly privateQueues?: true;
  /** What is released may go to the end of the line. Absent: it goes back to its place. */
  readonly releasesToEnd?: true;
  readonly maxMessageBytes?: number;
}
