import type { ScheduleSpec } from './schedule.js';

/** A named schedule with the task that it sends. Plain data. */
export interface ScheduleEntry {
  /** Unique among all entries; at most 200 characters. */
  readonly name: string;
  /** Name of the task to send. */
  readonly task: string;
  readonly schedule: ScheduleSpec;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Default: the task's own queue. */
  readonly queue?: string;
  /** 0 to 9. Default: the task's own priority. */
  readonly priority?: number;
  readonly headers?: Readonly<Record<string, unknown>>;
  /** The task expires this long after it was due or, when beat was late, sent; milliseconds. Not together with `expiresAt`. */
  readonly expiresMs?: number;
  /** No task is sent after this instant, and one sent before expires at it; epoch milliseconds. */
  readonly expiresAt?: number;
  /** Switch off after the first run. */
  readonly oneOff: boolean;
  /** No run before this instant, epoch milliseconds. */
  readonly startTime?: number;
  readonly enabled: boolean;
  readonly description: string;
  /**
   * What to do about occurrences that fell due while no beat ran: `skip` them, send `one` for all of them (default; it
   * is the latest, and stands for those on time too), or `all` of them, at most `misfireLimit`, the latest ones.
   * Occurrences up to `misfireGraceMs` late are on time.
   */
  readonly misfire: MisfirePolicy;
  /** Default 100, at most 1000. */
  readonly misfireLimit: number;
  /** Default 60 000. */
  readonly misfireGraceMs: number;
  /** Delay each run by a random time up to this, milliseconds; the occurrence's identity stays. Default 0. */
  readonly jitterMs: number;
  /** `skip`: no new run while the task of the last one has not ended (needs results). Default `allow`. */
  readonly overlap: OverlapPolicy;
}

/** What becomes of occurrences that were missed; see {@link ScheduleEntry.misfire}. */
export type MisfirePolicy = 'skip' | 'one' | 'all';
/** Whether runs of an entry may overlap; see {@link ScheduleEntry.overlap}. */
export type OverlapPolicy = 'allow' | 'skip';

/** What holds where an entry says nothing. */
export const SCHEDULE_ENTRY_DEFAULTS = {
  args: [],
  kwargs: {},
  oneOff: false,
  enabled: true,
  description: '',
  misfire: 'one',
  misfireLimit: 100,
  misfireGraceMs: 60_000,
  jitterMs: 0,
  overlap: 'allow',
} as const satisfies Partial<ScheduleEntry>;
