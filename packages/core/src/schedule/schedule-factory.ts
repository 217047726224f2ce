import { textDigest } from '../ambient/ids.js';
import type { ConfigurationProblem } from '../errors/errors.js';
import { ClockedSchedule, clockedProblems } from './clocked.js';
import { CrontabSchedule, crontabProblems } from './crontab.js';
import { IntervalSchedule, intervalProblems } from './interval.js';
import { scheduleInvalid } from './schedule-problem.js';
import type { Schedule, ScheduleSpec } from './schedule.js';
import { SolarSchedule, solarProblems } from './solar.js';

type Kind = ScheduleSpec['kind'];
type UncheckedSpec = Readonly<Record<string, unknown>>;

/** The most runs that {@link nextRuns} lists. */
export const NEXT_RUNS_LIMIT = 1000;

/** The schedule that a specification describes. Throws a UsageError `SCHEDULE_INVALID` that lists every problem. */
export function scheduleFrom(spec: ScheduleSpec): Schedule {
  const problems = validateScheduleSpec(spec, isKind(spec?.kind) ? spec.kind : 'schedule');
  if (problems.length > 0) throw scheduleInvalid(problems);
  switch (spec.kind) {
    case 'interval':
      return new IntervalSchedule(spec);
    case 'crontab':
      return new CrontabSchedule(spec);
    case 'clocked':
      return new ClockedSchedule(spec);
    case 'solar':
      return new SolarSchedule(spec);
  }
}

/** Everything that is wrong with a value that should be a {@link ScheduleSpec}; `path` names it. Never throws. */
export function validateScheduleSpec(spec: unknown, path: string): readonly ConfigurationProblem[] {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    return [{ path, expected: 'a schedule', value: spec, remedy: "Give e.g. { kind: 'interval', everyMs: 30000 }." }];
  }
  const unchecked = spec as UncheckedSpec;
  const { kind } = unchecked;
  if (!isKind(kind)) {
    return [{ path: `${path}.kind`, expected: `one of ${Object.keys(DEFAULTS).join(', ')}`, value: kind }];
  }
  return [...unknownFields(unchecked, kind, path), ...PROBLEMS[kind](unchecked, path)];
}

/**
 * The first `count` due instants strictly after `after`, fewer when there are no more; epoch milliseconds.
 * Throws a UsageError `SCHEDULE_INVALID` for an invalid specification, or a count that is not 0 to 1000.
 */
export function nextRuns(spec: ScheduleSpec, after: number, count: number): number[] {
  if (!Number.isInteger(count) || count < 0 || count > NEXT_RUNS_LIMIT) {
    throw scheduleInvalid([{ path: 'count', expected: `a whole number from 0 to ${NEXT_RUNS_LIMIT}`, value: count }]);
  }
  const schedule = scheduleFrom(spec);
  const runs: number[] = [];
  for (let run = schedule.next(after); run !== undefined && runs.length < count; run = schedule.next(run)) {
    runs.push(run);
  }
  return runs;
}

/**
 * A text that is the same for specifications that mean the same fields, whatever the order of their keys and whether a
 * default is written out, and differs after any edit of a field or of the start time. At most 255 characters, so that every
 * store can keep it. Throws a UsageError `SCHEDULE_INVALID` when it is not of a known kind.
 */
export function scheduleFingerprint(spec: ScheduleSpec, startTime?: number): string {
  if (!isKind(spec?.kind)) throw scheduleInvalid(validateScheduleSpec(spec, 'schedule'));
  const values: UncheckedSpec = { ...DEFAULTS[spec.kind], ...defined(spec) };
  const fields = Object.keys(DEFAULTS[spec.kind]).map((field) => values[field] ?? null);
  const text = JSON.stringify([spec.kind, ...fields, startTime ?? null]);
  return text.length <= LONGEST_FINGERPRINT ? text : textDigest(text);
}

const LONGEST_FINGERPRINT = 255;

/** The fields of each kind with their defaults, in the order of the fingerprint. */
const DEFAULTS = {
  interval: { everyMs: undefined, anchor: 0 },
  crontab: {
    minute: '*',
    hour: '*',
    dayOfMonth: '*',
    monthOfYear: '*',
    dayOfWeek: '*',
    timezone: 'UTC',
    gap: 'run',
    dayRule: 'and',
  },
  clocked: { at: undefined },
  solar: { event: undefined, latitude: undefined, longitude: undefined },
} as const satisfies { [K in Kind]: Record<Exclude<keyof Extract<ScheduleSpec, { kind: K }>, 'kind'>, unknown> };

const PROBLEMS: Readonly<Record<Kind, (spec: UncheckedSpec, path: string) => ConfigurationProblem[]>> = {
  interval: intervalProblems,
  crontab: crontabProblems,
  clocked: clockedProblems,
  solar: solarProblems,
};

function isKind(kind: unknown): kind is Kind {
  return typeof kind === 'string' && Object.hasOwn(DEFAULTS, kind);
}

function unknownFields(spec: UncheckedSpec, kind: Kind, path: string): ConfigurationProblem[] {
  const known = ['kind', ...Object.keys(DEFAULTS[kind])];
  return Object.keys(defined(spec))
    .filter((field) => !known.includes(field))
    .map((field) => ({
      path: `${path}.${field}`,
      expected: `no such field (${known.join(', ')})`,
      value: spec[field],
    }));
}

function defined(spec: object): UncheckedSpec {
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}
