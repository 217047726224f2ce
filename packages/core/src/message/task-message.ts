/**
 * A call inside another message: a callback, an errback, a step of a chain, the body of a chord. In Celery's spelling
 * and kept as it came, further keys included.
 */
export interface WireSignature {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** `chain`, `group`, `chord`, … for Celery's compound calls; null for a plain one. */
  readonly subtask_type: string | null;
  /** An immutable signature ignores the result of the task before it. */
  readonly immutable: boolean;
  readonly [key: string]: unknown;
}

/** What a message says of itself without its body being decoded. */
export interface TaskEnvelope {
  /** Language of the sender: `js` for ours, `py` for Celery's. */
  readonly lang: string;
  readonly id: string;
  /** Task name. */
  readonly task: string;
  /** Name shown by monitors instead of the task's. */
  readonly shadow: string | undefined;
  /** Not before this instant, epoch milliseconds. */
  readonly eta: number | undefined;
  /** Not started after this instant, epoch milliseconds. */
  readonly expires: number | undefined;
  readonly group: string | undefined;
  readonly groupIndex: number | undefined;
  /** Retries made so far. */
  readonly retries: number;
  /** How often a child of a worker was lost while it ran it, since the last retry; absent: never. */
  readonly lostChildren?: number | undefined;
  readonly timeLimitMs: number | undefined;
  readonly softTimeLimitMs: number | undefined;
  readonly rootId: string;
  readonly parentId: string | undefined;
  /** The arguments as text for monitors, bounded; undefined where only this library reads the queue. */
  readonly argsRepr: string | undefined;
  readonly kwargsRepr: string | undefined;
  /** Who sent it: `gen<pid>@<host>` or a worker's name. */
  readonly origin: string;
  readonly ignoreResult: boolean;
  readonly replacedTaskNesting: number;
  /** Names of the stamps; undefined when it was not stamped. */
  readonly stampedHeaders: readonly string[] | undefined;
  readonly stamps: Readonly<Record<string, unknown>>;
  /** Headers that are nobody's but the user's; without prototype when received. */
  readonly customHeaders: Readonly<Record<string, unknown>>;
  /** Where an rpc client waits for the result; empty when nobody does. */
  readonly replyTo: string;
  readonly correlationId: string;
  readonly priority: number | undefined;
  /** 2: kept on disk by the broker; 1: not. */
  readonly deliveryMode: number;
  /** Time to live in the broker, milliseconds as text. */
  readonly expiration: string | undefined;
}

/** What is inside the body. */
export interface TaskBody {
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Sent with the result when the task succeeds. */
  readonly callbacks: readonly WireSignature[] | undefined;
  /** Sent with the task's id when it finally fails. */
  readonly errbacks: readonly WireSignature[] | undefined;
  /** The steps to follow, the next one last. */
  readonly chain: readonly WireSignature[] | undefined;
  /** The body of the chord whose header this task belongs to. */
  readonly chord: WireSignature | undefined;
}

/** A task message in our words. Immutable; the wire form is an `EncodedMessage`. */
export interface TaskMessage extends TaskEnvelope, TaskBody {}
