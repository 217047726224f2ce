import type { Duration } from '../config/duration.js';
import type { Signature } from '../canvas/signature.js';
import type { Stamps } from '../control/stamp-revocation.js';
import type { WireSignature } from '../message/task-message.js';

/** Options of one call. What is not given comes from the task, then from the client. */
export interface ApplyOptions {
  /** Not before this long from now, by the broker's clock. Not together with `eta`. */
  readonly countdown?: Duration;
  /** Not before this instant. */
  readonly eta?: Date;
  /** Ends REVOKED ("expired") unless it was started by then. */
  readonly expires?: Duration | Date;
  readonly queue?: string;
  /** 0 to 9, higher is more urgent. */
  readonly priority?: number;
  /** Default: a new one. The same id again while the first is live is not enqueued a second time on brokers that deduplicate. */
  readonly taskId?: string;
  /** Travel with the message; readable as `ctx.headers`. */
  readonly headers?: Readonly<Record<string, unknown>>;
  /** Marks by which many tasks are revoked together, `client.revokeStamped({ customer: 7 })`; Celery's `stamps`. Retries keep them. */
  readonly stamps?: Stamps;
  /** Keyword arguments, for tasks that name their parameters and for foreign ones. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly timeLimit?: Duration;
  readonly softTimeLimit?: Duration;
  readonly ignoreResult?: boolean;
  /** Tasks to run with this one's result when it succeeds. */
  readonly link?: Signature | readonly Signature[];
  /** Tasks to run with this one's id when it finally fails. */
  readonly linkError?: Signature | readonly Signature[];
  /** Name shown by monitors instead of the task's. */
  readonly shadow?: string;
  /** What monitors see of the arguments; for arguments that are secrets. */
  readonly argsRepr?: string;
  readonly kwargsRepr?: string;
  /** How often and how long to try again when the broker cannot be reached. Default: the client's. `false`: once. */
  readonly retry?: PublishRetry | false;
  /** Enqueue as part of this transaction: a TypeORM `EntityManager`. Rolled back: never seen. */
  readonly manager?: unknown;
}

/** Retries of a publish, with the same task id each time, so that nothing is enqueued twice. */
export interface PublishRetry {
  /** Default 3. */
  readonly max?: number;
  /** First wait; doubles each time. Default 100 ms. */
  readonly delay?: Duration;
  /** Default 1 s. */
  readonly maxDelay?: Duration;
}

/** A call with everything decided but the envelope. */
export interface TaskCall {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly taskId: string;
  readonly queue?: string | undefined;
  readonly priority?: number | undefined;
  readonly countdownMs?: number | undefined;
  /** Epoch milliseconds. */
  readonly eta?: number | undefined;
  /** Epoch milliseconds. */
  readonly expires?: number | undefined;
  /** From when the message is made; `expires` wins. */
  readonly expiresMs?: number | undefined;
  readonly timeLimitMs?: number | undefined;
  readonly softTimeLimitMs?: number | undefined;
  readonly ignoreResult?: boolean | undefined;
  readonly shadow?: string | undefined;
  readonly argsRepr?: string | undefined;
  readonly kwargsRepr?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly rootId?: string | undefined;
  readonly parentId?: string | undefined;
  readonly callbacks?: readonly WireSignature[];
  readonly errbacks?: readonly WireSignature[];
  readonly chain?: readonly WireSignature[];
  /** Of a group, and its place there. */
  readonly group?: string | undefined;
  readonly groupIndex?: number | undefined;
  /** The body of the chord that it is a member of. */
  readonly chord?: WireSignature | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly stamps?: Stamps | undefined;
}
