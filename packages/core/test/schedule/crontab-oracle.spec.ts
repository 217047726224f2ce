import fc from 'fast-check';
import { DateTime, IANAZone } from 'luxon';
import { describe, expect, it } from 'vitest';
import { CrontabSchedule } from '../../src/schedule/crontab.js';
import { CRONTAB_FIELDS, type CrontabFieldName } from '../../src/schedule/crontab-parser.js';

/**
 * Compares `next` with the rule itself, applied minute by minute: a recurring crontab fires at every minute whose wall
 * clock matches; a fixed time fires at the first minute at which the wall clock has reached it.
 */

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** A field with what it means, so that the oracle needs no parser. */
interface Field {
  readonly text: string;
  readonly listed: boolean;
  readonly matches: (value: number) => boolean;
}
type Fields = Readonly<Record<CrontabFieldName, Field>>;

const ANY: Field = { text: '*', listed: false, matches: () => true };

const listOf = (first: number, last: number) =>
  fc.uniqueArray(fc.integer({ min: first, max: last }), { minLength: 1, maxLength: 4 }).map((values): Field => ({
    text: values.join(','),
    listed: true,
    matches: (value) => values.includes(value),
  }));
const rangeOf = (first: number, last: number) =>
  fc.tuple(fc.integer({ min: first, max: last }), fc.integer({ min: first, max: last })).map(([from, to]): Field => ({
    text: `${from}-${to}`,
    listed: false,
    matches: (value) => (from <= to ? value >= from && value <= to : value >= from || value <= to),
  }));
const stepOf = (first: number, size: number) =>
  fc.integer({ min: 1, max: size }).map((step): Field => ({
    text: `*/${step}`,
    listed: false,
    matches: (value) => (value - first) % step === 0,
  }));
/** Values around the changes are the interesting ones. */
const earlyHours = fc.oneof(
  listOf(0, 3),
  rangeOf(0, 3),
  fc.constantFrom(23, 0, 1, 2).map((hour): Field => ({
    text: String(hour),
    listed: true,
    matches: (value) => value === hour,
  })),
);

const fieldsOf: fc.Arbitrary<Fields> = fc.record({
  minute: fc.oneof(listOf(0, 59), listOf(0, 59), rangeOf(0, 59), stepOf(0, 60), fc.constant(ANY)),
  hour: fc.oneof(earlyHours, earlyHours, listOf(0, 23), stepOf(0, 24), fc.constant(ANY)),
  dayOfMonth: fc.oneof({ arbitrary: fc.constant(ANY), weight: 4 }, { arbitrary: stepOf(1, 31), weight: 1 }),
  monthOfYear: fc.oneof({ arbitrary: fc.constant(ANY), weight: 4 }, { arbitrary: rangeOf(1, 12), weight: 1 }),
  dayOfWeek: fc.oneof({ arbitrary: fc.constant(ANY), weight: 4 }, { arbitrary: rangeOf(0, 6), weight: 1 }),
});

const textOf = (fields: Fields) =>
  Object.fromEntries(CRONTAB_FIELDS.map((field) => [field, fields[field].text])) as Record<CrontabFieldName, string>;

/** A minute with its wall clock as milliseconds, as if the wall were in UTC. */
interface Minute {
  readonly instant: number;
  readonly wall: number;
}

function minutesAround(timezone: string, date: string): Minute[] {
  const start = Date.parse(`${date}T00:00:00Z`) - 1.5 * DAY;
  const zone = IANAZone.create(timezone);
  return Array.from({ length: (3 * DAY) / MINUTE }, (_, index) => {
    const instant = start + index * MINUTE;
    return { instant, wall: instant + zone.offset(instant) * MINUTE };
  });
}

function wallMatches(fields: Fields, wall: number): boolean {
  const date = new Date(wall);
  return (
    fields.minute.matches(date.getUTCMinutes()) &&
    fields.hour.matches(date.getUTCHours()) &&
    fields.dayOfMonth.matches(date.getUTCDate()) &&
    fields.monthOfYear.matches(date.getUTCMonth() + 1) &&
    fields.dayOfWeek.matches(date.getUTCDay())
  );
}

function expectedRuns(fields: Fields, minutes: readonly Minute[], gap: 'run' | 'skip'): number[] {
  if (!fields.minute.listed || !fields.hour.listed) {
    return minutes.filter(({ wall }) => wallMatches(fields, wall)).map(({ instant }) => instant);
  }
  const found = new Set<number>();
  let reached = minutes[0]?.wall ?? 0;
  for (const { instant, wall } of minutes.slice(1)) {
    for (let time = reached + MINUTE; time <= wall; time += MINUTE) {
      if (wallMatches(fields, time) && (gap === 'run' || time === wall)) found.add(instant);
    }
    reached = Math.max(reached, wall);
  }
  return [...found];
}

/** Those of the window without its edges, where the oracle does not know what the wall showed before. */
function inside(runs: readonly number[], minutes: readonly Minute[]): number[] {
  const first = (minutes[0]?.instant ?? 0) + DAY / 4;
  const last = (minutes.at(-1)?.instant ?? 0) - DAY / 4;
  return runs.filter((run) => run > first && run <= last);
}

function actualRuns(schedule: CrontabSchedule, minutes: readonly Minute[]): number[] {
  const found: number[] = [];
  const last = minutes.at(-1)?.instant ?? 0;
  let run = schedule.next((minutes[0]?.instant ?? 0) - 1);
  for (; run !== undefined && run <= last; run = schedule.next(run)) found.push(run);
  return found;
}

describe.each([
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['Australia/Lord_Howe', '2026-04-04'],
  ['Australia/Lord_Howe', '2026-10-03'],
  ['America/Sao_Paulo', '2018-02-18'],
  ['America/Sao_Paulo', '2018-11-04'],
  ['America/St_Johns', '2006-04-02'],
  ['America/St_Johns', '2006-10-29'],
  ['Antarctica/Troll', '2026-03-29'],
  ['Asia/Kathmandu', '1986-01-01'],
  ['Pacific/Apia', '2011-12-30'],
  ['UTC', '2026-02-28'],
])('%s around %s', (zone, date) => {
  it('fires when the rule says, minute by minute', () => {
    const minutes = minutesAround(zone, date);
    fc.assert(
      fc.property(fieldsOf, fc.constantFrom<'run' | 'skip'>('run', 'skip'), (fields, gap) => {
        const schedule = new CrontabSchedule({ kind: 'crontab', ...textOf(fields), timezone: zone, gap });
        const expected = inside(expectedRuns(fields, minutes, gap), minutes);
        expect(inside(actualRuns(schedule, minutes), minutes)).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });
});

describe('any crontab in any zone', () => {
  const zone = fc.constantFrom(...Intl.supportedValuesOf('timeZone').filter((_, index) => index % 40 === 0), 'UTC');
  const after = fc.integer({ min: Date.UTC(1971, 0), max: Date.UTC(2090, 0) });

  it('has a next run that is later, whole, stable, and never skips one', () => {
    fc.assert(
      fc.property(fieldsOf, zone, after, fc.nat(), (fields, timezone, from, part) => {
        const spec = { kind: 'crontab', ...textOf(fields), timezone } as const;
        const run = new CrontabSchedule(spec).next(from);
        if (run === undefined) return;
        expect(run).toBeGreaterThan(from);
        expect(run % 1000).toBe(0);
        const between = from + (part % (run - from));
        expect(new CrontabSchedule(spec).next(between)).toBe(run);
        expect(new CrontabSchedule(spec).next(run) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(run);
      }),
      { numRuns: 200 },
    );
  });

  it('matches its fields on the wall clock, but for the end of a gap', () => {
    fc.assert(
      fc.property(fieldsOf, zone, after, (fields, timezone, from) => {
        const run = new CrontabSchedule({ kind: 'crontab', ...textOf(fields), timezone }).next(from);
        if (run === undefined) return;
        const wall = DateTime.fromMillis(run, { zone: timezone });
        const before = DateTime.fromMillis(run - 1, { zone: timezone });
        if (fields.minute.listed && fields.hour.listed && wall.offset > before.offset) return;
        expect(wallMatches(fields, run + wall.offset * MINUTE)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
