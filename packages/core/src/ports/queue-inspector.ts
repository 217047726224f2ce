import type { EncodedMessage } from '../message/encoded-message.js';

/** For operators: depths, peeking, pausing, dead letters. Kept off the broker so that a minimal driver stays small. */
export interface QueueInspector {
  /**
   * What this store cannot tell; absent: it can tell everything. Those facts are undefined, peeking at such messages is
   * CAPABILITY_UNSUPPORTED, and purging leaves delayed ones.
   */
  readonly cannotTell?: readonly QueueFact[];
  /** Every queue the store knows. */
  queues(): Promise<readonly QueueFacts[]>;
  /** Messages of a queue, oldest first, without taking them. */
  peek(query: {
    readonly queue: string;
    readonly status: MessageStatus;
    readonly limit: number;
  }): Promise<readonly QueuedMessage[]>;
  /** Deletes what is ready or delayed in a queue. Returns how many. Leased and dead messages stay. */
  purge(queue: string): Promise<number>;
  /** A paused queue keeps accepting messages and hands none out, until resumed; survives restarts. */
  pause(queue: string): Promise<void>;
  resume(queue: string): Promise<void>;
  /** Dead letters, newest first, 1 to 1000 a page. A UsageError names `limit` or `cursor` when it cannot be. */
  deadLetters(query: { readonly queue?: string; readonly limit: number; readonly cursor?: string }): Promise<{
    readonly messages: readonly DeadLetter[];
    readonly nextCursor?: string;
  }>;
  /** Puts dead messages back into their queue with `lostLeases` reset and their result record forgotten. Returns the ids that were dead. */
  redrive(taskIds: readonly string[]): Promise<readonly string[]>;
}

/** Where a message of a queue is. */
export type MessageStatus = 'ready' | 'delayed' | 'leased';

/** Facts that not every broker can tell. */
export type QueueFact = 'delayed' | 'leased' | 'oldestReadyMs';

/** A queue in numbers. */
export interface QueueFacts {
  readonly name: string;
  readonly paused: boolean;
  readonly ready: number;
  /** Undefined where the store cannot tell (`cannotTell`); so is `leased`. */
  readonly delayed: number | undefined;
  readonly leased: number | undefined;
  readonly dead: number;
  /** Age of the oldest ready message in milliseconds; undefined when none is ready, or where the store cannot tell. */
  readonly oldestReadyMs: number | undefined;
}

/** A message that waits, for reading. */
export interface QueuedMessage {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly priority: number;
  readonly enqueuedAt: number;
  readonly eta: number | undefined;
  readonly message: EncodedMessage;
}

/** A message that was put aside, and why. */
export interface DeadLetter extends QueuedMessage {
  readonly reason: string;
  readonly diedAt: number;
}
