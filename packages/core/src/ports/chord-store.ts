import type { WireSignature } from '../message/task-message.js';
import type { FailureRecord } from '../errors/errors.js';
import type { TaskState } from '../task/task-state.js';
import type { EncodedValue } from './result-backend.js';

/**
 * Counts the members of chords where Celery's own result backend counts them, so that members may run on either side, and
 * whichever side ends the last one sends the body. A chord's client, or the worker that comes to it in a chain, opens it.
 *
 * Like a barrier it belongs to the member that completes it: that one is told again whenever it arrives again, until the
 * chord is discarded. So the order is: arrive, send the body, discard. Members that Python ends are Python's to tell.
 */
export interface ChordStore {
  /** Says how many members there are, before the first is sent. May be repeated. */
  open(chords: readonly ChordOpening[]): Promise<void>;
  /** A member has ended. It counts once, however often it arrives; what it brought first stays. */
  arrive(member: ChordMember): Promise<ChordAnswer>;
  /** Forgets a chord whose body was sent. */
  discard(groupId: string): Promise<void>;
}

/** A chord whose members are about to be sent. */
export interface ChordOpening {
  readonly groupId: string;
  /** Number of members. */
  readonly size: number;
  /** How long it is kept, milliseconds; undefined: for ever. */
  readonly ttlMs: number | undefined;
}

/** A member of a chord that has ended. */
export interface ChordMember {
  readonly groupId: string;
  /** Its place in the body's list; undefined: at the end. */
  readonly index: number | undefined;
  readonly taskId: string;
  readonly state: TaskState;
  /** For SUCCESS; JSON. */
  readonly result?: EncodedValue;
  /** For everything that did not succeed. */
  readonly failure?: FailureRecord;
  /** How long the chord is kept from now, milliseconds; undefined: for ever. */
  readonly ttlMs: number | undefined;
}

/** All members in order, for the one that completes the chord; undefined for any other, and for a chord nobody opened. */
export type ChordAnswer = readonly Pick<ChordMember, 'taskId' | 'state' | 'result' | 'failure'>[] | undefined;

/** What a settlement has to say of chords. The worker's own: it is taken out before a driver sees the settlement. */
export interface ChordNews {
  readonly opened: readonly Omit<ChordOpening, 'ttlMs'>[];
  readonly ended: readonly EndedMember[];
}

/** A member, and the body of its chord as the member's message has it. */
export interface EndedMember extends Omit<ChordMember, 'ttlMs'> {
  readonly body: WireSignature;
  /** Of the member, for its body's lineage. */
  readonly rootId: string;
  readonly replyTo: string;
}
