import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredEntry } from '../../src/ports/schedule-store.js';
import { BATCH_LIMIT, type EntryPlan, type FirePlan, planEntry } from '../../src/schedule/due.js';
import { SCHEDULE_ENTRY_DEFAULTS } from '../../src/schedule/schedule-entry.js';
import { scheduleFingerprint, scheduleFrom } from '../../src/schedule/schedule-factory.js';
import type { ScheduleSpec } from '../../src/schedule/schedule.js';
import { refusal } from './refusal.js';

const NOON = Date.parse('2026-06-01T12:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const HOURLY: ScheduleSpec = { kind: 'interval', everyMs: HOUR };

/** An entry whose due instant was computed from what it is. */
function entryOf(changes: Partial<StoredEntry> = {}): StoredEntry {
  const schedule = changes.schedule ?? HOURLY;
  return {
    ...SCHEDULE_ENTRY_DEFAULTS,
    name: 'tidy',
    task: 'tidy',
    schedule,
    dueAt: NOON,
    dueFingerprint: scheduleFingerprint(schedule, changes.startTime),
    lastRunAt: undefined,
    lastTaskId: undefined,
    totalRunCount: 0,
    ...changes,
  };
}

const fresh = (changes: Partial<StoredEntry> = {}) =>
  entryOf({ dueAt: undefined, dueFingerprint: undefined, ...changes });

const plan = (entry: StoredEntry, now: number): EntryPlan => planEntry({ entry, now });

function firePlan(entry: StoredEntry, now: number): FirePlan {
  const decision = plan(entry, now);
  if (decision.action !== 'fire') throw new Error(`Planned ${decision.action}.`);
  return decision;
}

/** The entry after the store has taken the step. */
function after(entry: StoredEntry, decision: EntryPlan, now: number): StoredEntry {
  switch (decision.action) {
    case 'none':
    case 'wait':
      return entry;
    case 'disable':
      return { ...entry, dueAt: undefined, dueFingerprint: decision.fingerprint, enabled: false };
    case 'compute':
      return { ...entry, dueAt: decision.nextDueAt, dueFingerprint: decision.fingerprint };
    case 'fire':
      return {
        ...entry,
        dueAt: decision.nextDueAt,
        dueFingerprint: decision.fingerprint,
        enabled: decision.disable ? false : entry.enabled,
        lastRunAt: decision.occurrences.length > 0 ? now : entry.lastRunAt,
      };
  }
}

describe('a new entry', () => {
  it('is due after now, not now', () => {
    expect(plan(fresh(), NOON)).toMatchObject({ action: 'compute', nextDueAt: NOON + HOUR });
    expect(plan(fresh(), NOON - 1)).toMatchObject({ action: 'compute', nextDueAt: NOON });
  });

  it('is due from its start time on, that included', () => {
    expect(plan(fresh({ startTime: NOON + DAY }), NOON)).toMatchObject({ nextDueAt: NOON + DAY });
    expect(plan(fresh({ startTime: NOON + DAY + 1 }), NOON)).toMatchObject({ nextDueAt: NOON + DAY + HOUR });
    expect(plan(fresh({ startTime: NOON - DAY }), NOON)).toMatchObject({ nextDueAt: NOON + HOUR });
  });

  it('whose schedule never comes is written down once', () => {
    const never = fresh({ schedule: { kind: 'crontab', dayOfMonth: '31', monthOfYear: '2' } });
    const decision = plan(never, NOON);
    expect(decision).toMatchObject({ action: 'compute', nextDueAt: undefined });
    expect(plan(after(never, decision, NOON), NOON + 1)).toEqual({ action: 'none' });
  });

  it('with a schedule that cannot be is refused', () => {
    refusal(() => plan(fresh({ schedule: { kind: 'interval', everyMs: 0 } }), NOON));
    refusal(() => plan(fresh({ schedule: { kind: 'other' } as unknown as ScheduleSpec, dueFingerprint: '' }), NOON));
  });
});

describe('an entry that is edited', () => {
  it.each<[string, Partial<StoredEntry>]>([
    ['schedule', { schedule: { kind: 'interval', everyMs: 2 * HOUR } }],
    ['start time', { startTime: NOON - DAY }],
  ])('in its %s is computed again and does not fire for the past', (_field, edit) => {
    const edited = { ...entryOf({ dueAt: NOON - DAY }), ...edit };
    const decision = plan(edited, NOON + 1);
    expect(decision).toMatchObject({ action: 'compute' });
    expect((decision as { nextDueAt: number }).nextDueAt).toBeGreaterThan(NOON + 1);
    expect(plan(after(edited, decision, NOON + 1), NOON + 1)).toMatchObject({ action: 'wait' });
  });

  it('in another field stays as it is', () => {
    expect(plan({ ...entryOf(), description: 'new', misfire: 'all' }, NOON - 5)).toEqual({
      action: 'wait',
      until: NOON,
    });
  });
});

describe('an entry that is off', () => {
  it('forgets its due instant and then rests', () => {
    const off = entryOf({ enabled: false, dueAt: NOON - DAY });
    const decision = plan(off, NOON);
    expect(decision).toMatchObject({ action: 'disable' });
    expect(plan(after(off, decision, NOON), NOON)).toEqual({ action: 'none' });
  });

  it('does not fire for the time it was off when it is switched on again', () => {
    const off = entryOf({ enabled: false, dueAt: NOON - DAY });
    const on = { ...after(off, plan(off, NOON), NOON), enabled: true };
    expect(plan(on, NOON + 3 * DAY)).toMatchObject({ action: 'compute', nextDueAt: NOON + 3 * DAY + HOUR });
  });
});

describe('an entry that expires', () => {
  it('is switched off at that instant', () => {
    expect(plan(entryOf({ expiresAt: NOON + 5 }), NOON + 4)).toMatchObject({ action: 'fire' });
    expect(plan(entryOf({ expiresAt: NOON + 5 }), NOON + 5)).toMatchObject({ action: 'disable' });
    expect(plan(fresh({ expiresAt: NOON }), NOON)).toMatchObject({ action: 'disable' });
  });

  it('is looked at again then, not only when it would be due', () => {
    expect(plan(entryOf({ expiresAt: NOON - 10 }), NOON - 60)).toEqual({ action: 'wait', until: NOON - 10 });
    expect(plan(entryOf({ expiresAt: NOON + 10 }), NOON - 60)).toEqual({ action: 'wait', until: NOON });
  });
});

describe('an entry that is due', () => {
  it('waits until the instant and fires at it', () => {
    expect(plan(entryOf(), NOON - 1)).toEqual({ action: 'wait', until: NOON });
    expect(plan(entryOf(), NOON)).toEqual({
      action: 'fire',
      occurrences: [NOON],
      nextDueAt: NOON + HOUR,
      skipped: 0,
      disable: false,
      fingerprint: scheduleFingerprint(HOURLY),
    });
  });

  it.each(['skip', 'one', 'all'] as const)('is on time within the grace, under %s', (misfire) => {
    const ten: ScheduleSpec = { kind: 'interval', everyMs: 10_000 };
    expect(firePlan(entryOf({ schedule: ten, misfire }), NOON + 25_000)).toMatchObject({
      occurrences: [NOON, NOON + 10_000, NOON + 20_000],
      nextDueAt: NOON + 30_000,
      skipped: 0,
    });
    expect(firePlan(entryOf({ misfire }), NOON + MINUTE)).toMatchObject({ occurrences: [NOON], skipped: 0 });
  });

  it('skips what is late', () => {
    const entry = entryOf({ misfire: 'skip' });
    expect(firePlan(entry, NOON + MINUTE + 1)).toMatchObject({ occurrences: [], nextDueAt: NOON + HOUR, skipped: 1 });
    expect(firePlan(entry, NOON + 3 * HOUR + 5)).toMatchObject({
      occurrences: [NOON + 3 * HOUR],
      nextDueAt: NOON + 4 * HOUR,
      skipped: 3,
    });
  });

  it('sends one for all that is late, and for what is on time with it', () => {
    const entry = entryOf({ misfire: 'one' });
    expect(firePlan(entry, NOON + 3 * HOUR - 5)).toMatchObject({
      occurrences: [NOON + 2 * HOUR],
      nextDueAt: NOON + 3 * HOUR,
      skipped: 2,
    });
    expect(firePlan(entry, NOON + 3 * HOUR + 5)).toMatchObject({ occurrences: [NOON + 3 * HOUR], skipped: 3 });
  });

  it('sends the latest of all that is late, and what is on time', () => {
    const entry = entryOf({ misfire: 'all', misfireLimit: 2 });
    expect(firePlan(entry, NOON + 5 * HOUR + 5)).toMatchObject({
      occurrences: [NOON + 3 * HOUR, NOON + 4 * HOUR, NOON + 5 * HOUR],
      nextDueAt: NOON + 6 * HOUR,
      skipped: 3,
    });
    expect(firePlan({ ...entry, misfireLimit: 100 }, NOON + 2 * HOUR - 5)).toMatchObject({
      occurrences: [NOON, NOON + HOUR],
      skipped: 0,
    });
    expect(firePlan({ ...entry, misfireLimit: 0 }, NOON + 2 * HOUR - 5)).toMatchObject({ occurrences: [], skipped: 2 });
  });

  it('keeps a stored instant that the schedule would not compute any more', () => {
    const moved = entryOf({ dueAt: NOON + 7 });
    expect(firePlan(moved, NOON + 8)).toMatchObject({ occurrences: [NOON + 7], nextDueAt: NOON + HOUR });
  });
});

describe('a one-off entry', () => {
  it('runs once and is switched off, and runs once more when it is switched on again', () => {
    const entry = entryOf({ oneOff: true, misfire: 'all' });
    const decision = firePlan(entry, NOON + 3 * HOUR);
    expect(decision).toMatchObject({ occurrences: [NOON], nextDueAt: undefined, disable: true });
    const done = after(entry, decision, NOON + 3 * HOUR);
    expect(plan(done, NOON + 4 * HOUR)).toEqual({ action: 'none' });
    expect(plan({ ...done, enabled: true }, NOON + 4 * HOUR)).toMatchObject({ nextDueAt: NOON + 5 * HOUR });
  });

  it('stays on when its run was skipped', () => {
    const entry = entryOf({ oneOff: true, misfire: 'skip' });
    expect(firePlan(entry, NOON + HOUR - 5)).toMatchObject({ occurrences: [], nextDueAt: NOON + HOUR, disable: false });
  });
});

describe('a clocked entry', () => {
  const schedule: ScheduleSpec = { kind: 'clocked', at: NOON };

  it('runs at its instant and is switched off', () => {
    const entry = fresh({ schedule });
    const computed = after(entry, plan(entry, NOON - DAY), NOON - DAY);
    expect(plan(computed, NOON - DAY)).toEqual({ action: 'wait', until: NOON });
    const decision = firePlan(computed, NOON + 1);
    expect(decision).toMatchObject({ occurrences: [NOON], nextDueAt: undefined, disable: true });
    expect(plan(after(computed, decision, NOON + 1), NOON + 2)).toEqual({ action: 'none' });
  });

  it.each([
    ['one', [NOON], 0],
    ['all', [NOON], 0],
    ['skip', [], 1],
  ] as const)('in the past is decided by the misfire policy %s', (misfire, occurrences, skipped) => {
    const entry = fresh({ schedule, misfire });
    const decision = plan(entry, NOON + DAY);
    expect(decision).toMatchObject({ action: 'compute', nextDueAt: NOON });
    const computed = after(entry, decision, NOON + DAY);
    expect(firePlan(computed, NOON + DAY)).toMatchObject({ occurrences, skipped, nextDueAt: undefined, disable: true });
  });

  it('does not run again when it is switched on again, but does at a new instant', () => {
    const ran = fresh({ schedule, lastRunAt: NOON + 3 });
    expect(plan(ran, NOON + DAY)).toMatchObject({ action: 'compute', nextDueAt: undefined });
    const later: ScheduleSpec = { kind: 'clocked', at: NOON + HOUR };
    expect(plan({ ...ran, schedule: later }, NOON + DAY)).toMatchObject({ action: 'compute', nextDueAt: NOON + HOUR });
  });

  it('does not run before its start time', () => {
    expect(plan(fresh({ schedule, startTime: NOON + 1 }), NOON - 1)).toMatchObject({ nextDueAt: undefined });
    expect(plan(fresh({ schedule, startTime: NOON }), NOON - 1)).toMatchObject({ nextDueAt: NOON });
  });
});

describe('years without a beat', () => {
  const YEARS = 10 * 365 * DAY;

  it.each(['skip', 'one', 'all'] as const)('are no work for a schedule of every millisecond, under %s', (misfire) => {
    const entry = entryOf({ schedule: { kind: 'interval', everyMs: 1 }, misfire, misfireGraceMs: 0 });
    const started = performance.now();
    const decision = firePlan(entry, NOON + YEARS);
    expect(performance.now() - started).toBeLessThan(5_000);
    const count = { skip: 1, one: 1, all: 101 }[misfire];
    expect(decision.occurrences).toHaveLength(count);
    expect(decision.occurrences.at(-1)).toBe(NOON + YEARS);
    expect(decision.skipped).toBe(YEARS + 1 - count);
  });

  it.each<[string, ScheduleSpec]>([
    ['every minute', { kind: 'crontab', timezone: 'Europe/Berlin' }],
    ['a burst a year', { kind: 'crontab', monthOfYear: '1', timezone: 'Europe/Berlin' }],
    ['every sunset', { kind: 'solar', event: 'sunset', latitude: 52, longitude: 13 }],
  ])('are little work for %s', (_words, schedule) => {
    const dueAt = scheduleFrom(schedule).next(NOON) as number;
    const now = NOON + YEARS;
    for (const misfire of ['skip', 'one', 'all'] as const) {
      const started = performance.now();
      const decision = firePlan(entryOf({ schedule, dueAt, misfire }), now);
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(decision.nextDueAt).toBeGreaterThan(now);
      expect(decision.skipped).toBe(BATCH_LIMIT);
      if (misfire === 'one')
        expect(scheduleFrom(schedule).next(decision.occurrences[0] as number)).toBeGreaterThan(now);
    }
  });

  it('are caught up in batches, oldest first, when all is on time', () => {
    let entry = entryOf({ schedule: { kind: 'interval', everyMs: 1000 }, misfireGraceMs: DAY });
    const now = NOON + 2_500_000;
    const fired: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const decision = firePlan(entry, now);
      expect(decision.occurrences.length).toBeLessThanOrEqual(BATCH_LIMIT);
      fired.push(...decision.occurrences);
      entry = after(entry, decision, now);
    }
    expect(fired).toEqual(Array.from({ length: 2501 }, (_, index) => NOON + index * 1000));
    expect(plan(entry, now)).toEqual({ action: 'wait', until: now + 1000 });
  });
});

describe('any backlog', () => {
  const schedule = fc.oneof(
    fc.integer({ min: 1, max: 90 }).map((minutes): ScheduleSpec => ({ kind: 'interval', everyMs: minutes * MINUTE })),
    fc.constantFrom<ScheduleSpec[]>(
      { kind: 'crontab', minute: '*/20' },
      { kind: 'crontab', minute: '1,2,3', hour: '13,20' },
      { kind: 'crontab', minute: '30', hour: '14', timezone: 'Asia/Kathmandu' },
    ),
  );

  it('is fired as an enumeration of it would be', () => {
    const misfire = fc.constantFrom('skip', 'one', 'all');
    const down = fc.integer({ min: 0, max: 2 * DAY });
    fc.assert(
      fc.property(schedule, misfire, fc.nat(40), fc.nat(3 * HOUR), down, (spec, policy, limit, grace, late) => {
        const timetable = scheduleFrom(spec);
        const dueAt = timetable.next(NOON) as number;
        const now = dueAt + late;
        const backlog: number[] = [];
        let run: number | undefined = dueAt;
        for (; run !== undefined && run <= now; run = timetable.next(run)) backlog.push(run);

        const onTime = backlog.filter((each) => each >= now - grace);
        const misfired = backlog.filter((each) => each < now - grace);
        const allowed = {
          skip: onTime,
          one: misfired.length === 0 ? onTime : backlog.slice(-1),
          all: [...misfired.slice(Math.max(0, misfired.length - limit)), ...onTime],
        }[policy];
        const entry = entryOf({ schedule: spec, dueAt, misfire: policy, misfireLimit: limit, misfireGraceMs: grace });
        expect(firePlan(entry, now)).toMatchObject({
          occurrences: allowed,
          nextDueAt: run,
          skipped: Math.min(backlog.length - allowed.length, spec.kind === 'interval' ? Infinity : BATCH_LIMIT),
          disable: false,
        });
      }),
      { numRuns: 200 },
    );
  });

  it('comes to rest: each plan moves on, and nothing fires twice', () => {
    const delays = fc.array(fc.integer({ min: 0, max: 5 * HOUR }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(schedule, fc.constantFrom('skip', 'one', 'all'), delays, (spec, policy, steps) => {
        let entry = fresh({ schedule: spec, misfire: policy });
        let now = NOON;
        const fired: number[] = [];
        for (const step of steps) {
          now += step;
          let decision = plan(entry, now);
          for (let turn = 0; decision.action === 'compute' || decision.action === 'fire'; turn += 1) {
            expect(turn).toBeLessThan(5);
            if (decision.action === 'fire') fired.push(...decision.occurrences);
            entry = after(entry, decision, now);
            decision = plan(entry, now);
          }
          expect(decision.action).toBe('wait');
        }
        expect(fired).toEqual([...new Set(fired)].sort((a, b) => a - b));
        expect(fired.every((run) => run > NOON && run <= now)).toBe(true);
      }),
    );
  });
});
