/**
 * Permits that end by themselves. A key has as many permits as the one who asks says; who holds one is an owner, until
 * he releases it or its time is over by the store's clock.
 *
 * ```text
 *   FREE ──acquire──► HELD by an owner, with a token ──release──► FREE
 *                       │ ▲                        └──ttlMs over──► FREE
 *                       └─┘ renew, or acquire again by the same owner: ttlMs from now, the same token
 * ```
 *
 * One mechanism, four uses:
 *
 * | use | key | permits | owner | ends by |
 * | --- | --- | --- | --- | --- |
 * | leadership | the office | 1 | the process | release, or ttl |
 * | unique task | task and arguments | 1 | the task id | release when the task ends, or ttl |
 * | concurrency limit | task, queue or customer | the limit | task id and run | release when the run ends, or ttl |
 * | rate limit | task, queue or customer | starts in a period | task id and run | ttl alone, which is the period |
 *
 * The last one holds because a permit that is never released lives exactly one period: in no window of that length,
 * wherever it begins, are there more starts than permits.
 *
 * Keys and owners are texts of 1 to 255 characters without control characters; whoever builds them sees to it.
 */
export interface LockStore {
  /** Asks for permits, each for itself. One answer a request, in order. Never waits. */
  acquire(requests: readonly LockRequest[]): Promise<readonly LockAnswer[]>;
  /** Prolongs permits: `ttlMs` from now. `lost`: the permit had ended, whether or not somebody else has it now. */
  renew(renewals: readonly LockRenewal[]): Promise<readonly ('renewed' | 'lost')[]>;
  /** Gives permits back. `lost`: the permit had ended before; harmless. */
  release(permits: readonly LockPermit[]): Promise<readonly ('released' | 'lost')[]>;
  /** Who holds permits of a key now, longest first. For operators. */
  holders(key: string): Promise<readonly LockHolder[]>;
}

/** A permit that is asked for. */
export interface LockRequest {
  readonly key: string;
  /**
   * Unique among those who may hold the key at one time. The owner who holds a permit and asks again gets that permit
   * again, so a request whose answer was lost can be repeated.
   */
  readonly owner: string;
  /** At most so many holders at once, at least 1. Not stored: each request is judged by its own number. */
  readonly permits: number;
  /** Milliseconds until the permit ends by itself, by the store's clock. A holder counts them from before it asked. */
  readonly ttlMs: number;
}

/** What whoever asks for a permit is told. */
export type LockAnswer =
  /**
   * `token` grows with every grant of the key, so that a store which remembers the highest token it has seen can refuse
   * one who lost the lock without knowing it. A safe integer; comparable for one key only.
   */
  | { readonly status: 'acquired'; readonly token: number }
  /** `holder`: the one whose end will make room, if all go on as they are; of several, the first that suffices. */
  | { readonly status: 'held'; readonly holder: LockHolder };

/** A permit that was given; `token` tells it from every earlier one. */
export interface LockPermit {
  readonly key: string;
  readonly owner: string;
  readonly token: number;
}

/** A permit, and how long it is to live from now. */
export interface LockRenewal extends LockPermit {
  readonly ttlMs: number;
}

/** Who holds a permit, and for how long. */
export interface LockHolder {
  readonly owner: string;
  readonly token: number;
  /** Milliseconds until the permit ends unless it is renewed. */
  readonly expiresInMs: number;
}
