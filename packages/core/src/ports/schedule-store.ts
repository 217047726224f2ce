import type { OutgoingMessage } from './broker.js';
import type { ScheduleEntry } from '../schedule/schedule-entry.js';

/**
 * Schedule entries, and the record of which occurrences were fired. An occurrence is (entry name, due instant); it is
 * fired by exactly one of any number of beats because `advance` is a compare-and-set on the due instant.
 */
export interface ScheduleStore {
  readonly capabilities: ScheduleStoreCapabilities;
  /** A marker that differs after any change of any entry, and the store's own time (epoch ms). Cheap: polled every second. */
  poll(): Promise<{ readonly version: string; readonly now: number }>;
  list(): Promise<readonly StoredEntry[]>;
  /**
   * Syncs the entries that code declares: new ones are created, changed fields follow the code unless an operator has
   * edited that field, and entries that code declared before and does not any more are removed unless edited.
   */
  syncDeclared(entries: readonly ScheduleEntry[]): Promise<void>;
  /** Creates or replaces entries by name, as an operator would. */
  upsert(entries: readonly ScheduleEntry[]): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
  /**
   * Takes an occurrence before publishing it, where `atomicFire` is false. False: someone else has it, or it was fired
   * already. Who has it may ask again.
   */
  claim(claim: OccurrenceClaim): Promise<boolean>;
  /**
   * Moves the entry from `dueAt` to `nextDueAt`; with `atomicFire`, publishes `publish` in the same step. False: the
   * entry does not stand at `dueAt` any more, and nothing was done. `dueAt` undefined: the entry had no due instant yet.
   */
  advance(step: ScheduleStep): Promise<boolean>;
}

/** What a schedule store can do beyond what all can. */
export interface ScheduleStoreCapabilities {
  /** `advance` publishes in the same step as the broker of the same driver. */
  readonly atomicFire: boolean;
}

/** The wish to be the one that sends an occurrence. */
export interface OccurrenceClaim {
  readonly name: string;
  readonly dueAt: number;
  /** Unique among beats. */
  readonly owner: string;
  /** Milliseconds until somebody else may have it. */
  readonly ttlMs: number;
}

/** An entry moving on from one due instant to the next. */
export interface ScheduleStep {
  readonly name: string;
  readonly dueAt: number | undefined;
  /** Undefined: never again (one-off, exhausted). */
  readonly nextDueAt: number | undefined;
  /** Fingerprint of the schedule that `nextDueAt` was computed from. */
  readonly fingerprint: string;
  /** Set when the occurrence was fired rather than skipped: becomes `lastRunAt`, counts `totalRunCount`. */
  readonly firedAt?: number;
  /** Number of tasks sent by this step. */
  readonly fired?: number;
  /** Task id of the last task sent, for the overlap policy. */
  readonly lastTaskId?: string;
  /** Switch the entry off, e.g. after a one-off run. */
  readonly disable?: boolean;
  readonly publish?: readonly OutgoingMessage[];
}

/** A schedule entry with how far it has come. */
export interface StoredEntry extends ScheduleEntry {
  /** The next instant to fire, epoch ms; undefined: not computed yet, or never again. */
  readonly dueAt: number | undefined;
  /** Fingerprint under which `dueAt` was computed; differs from the entry's own after an edit. */
  readonly dueFingerprint: string | undefined;
  readonly lastRunAt: number | undefined;
  readonly lastTaskId: string | undefined;
  readonly totalRunCount: number;
}
