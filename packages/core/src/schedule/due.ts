import type { ScheduleEntry } from './schedule-entry.js';
import { scheduleFingerprint, scheduleFrom } from './schedule-factory.js';

/**
 * What beat has to do about one entry now. Pure: the entry as stored and the store's time go in, a decision comes out.
 *
 *     disabled ──────────────── dueAt set? ── yes ──► disable  (forget the due instant)
 *        │                          └── no ────────► none
 *     expired (now ≥ expiresAt) ───────────────────► disable
 *        │
 *     not computed, or edited since ───────────────► compute  ── nothing new to write? ──► none
 *        │
 *     dueAt > now ─────────────────────────────────► wait
 *        │
 *     dueAt ≤ now ─────────────────────────────────► fire     (perhaps no occurrence at all)
 *
 * **Computing never fires.** The first due instant is after `now` and not before `startTime`, so a new, edited or
 * re-enabled entry does not run for the past. A clocked entry is the exception: its instant becomes due even when it is
 * past, unless the entry ran at or after it, and the misfire policy then decides, so a deployment that comes a minute
 * late does not lose the run.
 *
 * **Misfires.** Beat is rarely late, but it may have been down. The backlog is every occurrence from `dueAt` to `now`;
 * those due up to `misfireGraceMs` ago are on time.
 *
 *     all of the backlog on time   fire each of it
 *     `skip`                       fire those on time, skip the others
 *     `one`                        fire the latest, skip the others, also those on time: one run stands for the outage
 *     `all`                        fire those on time and the latest `misfireLimit` of the others
 *
 * **Bounded work**, also after years without a beat and for `everyMs: 1`. A plan has at most {@link BATCH_LIMIT}
 * occurrences, the oldest that are to be fired; `nextDueAt` is then the one after them and may be past, so that the next
 * plan goes on there. The latest occurrences are found by bisection on the instant, not by walking to them.
 */
export function planEntry(params: { readonly entry: PlannedEntry; readonly now: number }): EntryPlan {
  const { entry } = params;
  const now = Math.floor(params.now);
  const fingerprint = scheduleFingerprint(entry.schedule, entry.startTime);
  if (!entry.enabled) return entry.dueAt === undefined ? { action: 'none' } : { action: 'disable', fingerprint };
  if (entry.expiresAt !== undefined && entry.expiresAt <= now) return { action: 'disable', fingerprint };
  if (entry.dueAt === undefined || entry.dueFingerprint !== fingerprint) return planFirst(entry, now, fingerprint);
  if (entry.dueAt > now) {
    return { action: 'wait', until: Math.min(entry.dueAt, entry.expiresAt ?? Number.POSITIVE_INFINITY) };
  }
  return planRuns({ ...entry, dueAt: entry.dueAt }, now, fingerprint);
}

/** The part of a stored entry that decides. */
export interface PlannedEntry extends Pick<
  ScheduleEntry,
  'schedule' | 'enabled' | 'oneOff' | 'startTime' | 'expiresAt' | 'misfire' | 'misfireLimit' | 'misfireGraceMs'
> {
  /** Epoch milliseconds; undefined: not computed yet, or never again. */
  readonly dueAt: number | undefined;
  /** Fingerprint under which `dueAt` was computed. */
  readonly dueFingerprint: string | undefined;
  readonly lastRunAt: number | undefined;
}

/**
 * A decision. `none`: nothing until the entry changes. `wait`: nothing before `until`. The others are one step of the
 * store, from the entry's `dueAt`, and carry the `fingerprint` to store with it: `disable` switches the entry off and
 * forgets its due instant; `compute` sets the due instant without a run; `fire` sends a task for each of `occurrences`
 * and moves on.
 */
export type EntryPlan =
  | { readonly action: 'none' }
  | { readonly action: 'wait'; readonly until: number }
  | { readonly action: 'disable'; readonly fingerprint: string }
  | { readonly action: 'compute'; readonly nextDueAt: number | undefined; readonly fingerprint: string }
  | FirePlan;

export interface FirePlan {
  readonly action: 'fire';
  /** Due instants to send a task for, oldest first; empty when all of the backlog is skipped. */
  readonly occurrences: readonly number[];
  /** Undefined: never again. */
  readonly nextDueAt: number | undefined;
  /** Occurrences passed over; counted up to {@link BATCH_LIMIT}, for intervals exactly. */
  readonly skipped: number;
  /** Switch the entry off: it was one-off or clocked, and has run or missed its time. */
  readonly disable: boolean;
  readonly fingerprint: string;
}

/** The most occurrences in one plan, and the most that `misfireLimit` can ask for. */
export const BATCH_LIMIT = 1000;

type Next = (after: number) => number | undefined;
type DueEntry = PlannedEntry & { readonly dueAt: number };

function planFirst(entry: PlannedEntry, now: number, fingerprint: string): EntryPlan {
  const nextDueAt = firstDue(entry, now);
  const written = entry.dueAt === undefined && nextDueAt === undefined && entry.dueFingerprint === fingerprint;
  return written ? { action: 'none' } : { action: 'compute', nextDueAt, fingerprint };
}

function firstDue(entry: PlannedEntry, now: number): number | undefined {
  const schedule = scheduleFrom(entry.schedule);
  const start = entry.startTime ?? Number.NEGATIVE_INFINITY;
  if (entry.schedule.kind !== 'clocked') return schedule.next(Math.max(now, start - 1));
  const { at } = entry.schedule;
  const ran = entry.lastRunAt !== undefined && entry.lastRunAt >= at;
  return ran || at < start ? undefined : at;
}

function planRuns(entry: DueEntry, now: number, fingerprint: string): FirePlan {
  const schedule = scheduleFrom(entry.schedule);
  // The stored instant counts as an occurrence even if newer time zone data would not compute it any more.
  const next: Next = (after) => (after < entry.dueAt ? entry.dueAt : schedule.next(after));
  const chosen = chooseRuns(entry, next, now);
  const occurrences = entry.oneOff ? chosen.slice(0, 1) : chosen;
  const disable = entry.schedule.kind === 'clocked' || (entry.oneOff && occurrences.length > 0);
  const reached = occurrences.length === BATCH_LIMIT ? (occurrences.at(-1) as number) : now;
  return {
    action: 'fire',
    occurrences,
    nextDueAt: disable ? undefined : next(reached),
    skipped: countRuns(entry, next, { until: (occurrences[0] ?? now + 1) - 1 }),
    disable,
    fingerprint,
  };
}

function chooseRuns(entry: DueEntry, next: Next, now: number): number[] {
  const before = entry.dueAt - 1;
  const lastLate = now - entry.misfireGraceMs - 1;
  if (entry.dueAt > lastLate) return oldest(next, { after: before, until: now, limit: BATCH_LIMIT });
  switch (entry.misfire) {
    case 'skip':
      return oldest(next, { after: lastLate, until: now, limit: BATCH_LIMIT });
    case 'one':
      return latest(next, { after: before, until: now, limit: 1 });
    case 'all': {
      const late = latest(next, { after: before, until: lastLate, limit: Math.min(entry.misfireLimit, BATCH_LIMIT) });
      return [...late, ...oldest(next, { after: lastLate, until: now, limit: BATCH_LIMIT - late.length })];
    }
  }
}

interface Span {
  readonly after: number;
  /** Inclusive. */
  readonly until: number;
  readonly limit: number;
}

function oldest(next: Next, { after, until, limit }: Span): number[] {
  const runs: number[] = [];
  for (let run = next(after); run !== undefined && run <= until && runs.length < limit; run = next(run)) runs.push(run);
  return runs;
}

/** Bisects for a start after which there are `limit` occurrences: one millisecond more brings at most one more. */
function latest(next: Next, { after, until, limit }: Span): number[] {
  let tooEarly = after;
  let lateEnough = until;
  let runs = oldest(next, { after, until, limit: limit + 1 });
  if (runs.length <= limit) return runs;
  while (runs.length !== limit && lateEnough - tooEarly > 1) {
    const middle = tooEarly + Math.floor((lateEnough - tooEarly) / 2);
    runs = oldest(next, { after: middle, until, limit: limit + 1 });
    if (runs.length > limit) tooEarly = middle;
    else lateEnough = middle;
  }
  return runs.length > limit ? oldest(next, { after: lateEnough, until, limit }) : runs;
}

function countRuns(entry: DueEntry, next: Next, { until }: { readonly until: number }): number {
  if (entry.schedule.kind === 'interval') return Math.ceil((until + 1 - entry.dueAt) / entry.schedule.everyMs);
  return oldest(next, { after: entry.dueAt - 1, until, limit: BATCH_LIMIT }).length;
}
