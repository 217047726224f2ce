/**
 * Counts the members of a group until all have arrived, and hands what is to follow to exactly one of them.
 *
 * ```text
 *   open ──► OPEN ──arrive: a member that is new, not the last──► OPEN
 *              │ ──arrive: a member that is known──► OPEN, uncounted
 *              └──arrive: the last one──► COMPLETE, by that member ──discard──► gone
 *                 ttlMs without an arrival, in either state ──► gone
 * ```
 *
 * Completion belongs to a member, not to a call: whoever completed the barrier is told so again whenever it arrives
 * again, until the barrier is discarded. An answer that was lost, or a worker that died before it could publish the
 * body, costs nothing: the member arrives again and the body is published again, with the same id. So the order is:
 * arrive, publish the body, discard, settle.
 *
 * Ids are texts of 1 to 255 characters without control characters; whoever builds them sees to it.
 */
export interface BarrierStore {
  /** Opens barriers, before any member can arrive. One that exists stays as it is: opening may be repeated. */
  open(barriers: readonly Barrier[]): Promise<void>;
  /**
   * Members arrive, however often each is told to. One answer an arrival, in order; undefined for a barrier that was
   * never opened, was discarded, or has expired.
   */
  arrive(arrivals: readonly Arrival[]): Promise<readonly (ArrivalAnswer | undefined)[]>;
  /** Forgets barriers, complete or not. Unknown ids are none of its business. */
  discard(ids: readonly string[]): Promise<void>;
}

/** A point that lets through once all members have arrived. */
export interface Barrier {
  readonly id: string;
  /** Number of members, at least 1. */
  readonly size: number;
  /** How long it is kept after it was opened, and again after each arrival, milliseconds by the store's clock. */
  readonly ttlMs: number;
  /** What the last member gets; not looked into. */
  readonly body: Uint8Array;
}

/** A member that arrives at a barrier. */
export interface Arrival {
  readonly id: string;
  /** Unique within the barrier; an index or a task id. */
  readonly memberId: string;
}

/** What an arrival is told. */
export type ArrivalAnswer =
  | { readonly completed: false; readonly arrived: number; readonly size: number }
  /** All have arrived, and this member was the last. */
  | { readonly completed: true; readonly arrived: number; readonly size: number; readonly body: Uint8Array };
