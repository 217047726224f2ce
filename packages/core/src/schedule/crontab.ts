import type { ConfigurationProblem } from '../errors/errors.js';
import {
  CRONTAB_FIELDS,
  type CrontabField,
  type CrontabFieldName,
  crontabFieldProblem,
  parseCrontabField,
} from './crontab-parser.js';
import { describeCrontab } from './crontab-words.js';
import { DAY_MS, HOUR_MS, LAST_INSTANT, MINUTE_MS } from './instant.js';
import type { CrontabSpec, Schedule } from './schedule.js';
import { ZoneTimeline, type ZonePiece, isTimeZone } from './zone-timeline.js';

/**
 * A crontab in a time zone.
 *
 * **When the clocks change.** A crontab has *fixed times* when the minute and the hour are both lists of single values
 * (`30 2 * * *`, `15,45 2,14 * * *`): somebody means these times of the day. With a `*`, a range or a step in either
 * (`0 * * * *`, `*\/30 1-2 * * *`, `*\/15 2 * * *`) it *recurs*: somebody means a rhythm. Only the way it is written
 * counts: `0-0` is a range.
 *
 * - A fixed time fires at the first instant at which the clocks on the wall have reached it: in the hour that happens
 *   twice, the first time only; when it falls into the hour that does not happen, once at the end of that gap, unless
 *   `gap` is `skip`. Fixed times that meet in one instant fire once. Day and month are those of the time as written,
 *   also when the gap swallows midnight.
 * - A recurring crontab fires at every instant at which the clocks show a matching time: in both passes of the hour that
 *   happens twice, and not in the gap.
 *
 *     America/New_York                 clocks go forward at 02:00    clocks go back at 02:00
 *     30 2 * * *         fixed         03:00, or skipped             02:30
 *     30 1 * * *         fixed         01:30                         the first 01:30
 *     0 * * * *          recurring     …, 01:00, 03:00, …            both 01:00
 *     *\/30 1-2 * * *     recurring     01:00, 01:30                  01:00 and 01:30 in both passes, 02:00, 02:30
 *
 * **Which days.** A month must match, and the day of month AND the day of week, as in Celery: `0 0 13 * fri` is Friday
 * the 13th. With `dayRule: 'or'`, as in POSIX cron, either is enough when both are restricted; a field that matches
 * every day is not restricted.
 *
 * **Search.** Days are enumerated from the calendar, and only matching ones are looked up in the time zone, so a date
 * that never comes (31 February) is known within a millisecond. The search ends after 41 years: the longest wait there
 * can be is 40, for a 29 February on a given weekday across the year 2100.
 */
export class CrontabSchedule implements Schedule {
  readonly kind = 'crontab';
  private readonly fields: Readonly<Record<CrontabFieldName, CrontabField>>;
  private readonly zone: ZoneTimeline;
  /** Matching times of a day, milliseconds after its midnight, ascending. */
  private readonly times: readonly number[];
  private readonly fixed: boolean;
  private readonly eitherDay: boolean;

  /** Throws a UsageError `SCHEDULE_INVALID` for fields that cannot be parsed. `timezone` must be known. */
  constructor(private readonly spec: CrontabSpec) {
    this.fields = parseFields(spec);
    const { minute, hour, dayOfMonth, dayOfWeek } = this.fields;
    this.zone = new ZoneTimeline(spec.timezone ?? DEFAULT_TIME_ZONE);
    this.times = [...hour.values].flatMap((h) => [...minute.values].map((m) => h * HOUR_MS + m * MINUTE_MS));
    this.fixed = minute.listed && hour.listed;
    this.eitherDay = spec.dayRule === 'or' && !dayOfMonth.whole && !dayOfWeek.whole;
  }

  next(instant: number): number | undefined {
    const after = Math.floor(instant);
    // Also for NaN.
    if (!(Math.abs(after) < LAST_INSTANT - (SEARCH_YEARS + 1) * 366 * DAY_MS)) return undefined;
    let found: { readonly day: number; readonly instant: number } | undefined;
    for (const day of this.matchingDays(this.localDay(after) - 1)) {
      // Around a change at midnight the next day can begin before this one is over, but not the day after that.
      if (found !== undefined && day > found.day + 1) break;
      const first = this.firstOn(day, after);
      if (first !== undefined && first < (found?.instant ?? Number.POSITIVE_INFINITY)) found = { day, instant: first };
    }
    return found?.instant;
  }

  describe(): string {
    return describeCrontab(this.fields, {
      timezone: this.spec.timezone ?? DEFAULT_TIME_ZONE,
      dayRule: this.spec.dayRule ?? 'and',
    });
  }

  private localDay(instant: number): number {
    const pieces = this.zone.around(Math.floor(instant / DAY_MS));
    const { offset } = pieces.find((piece) => instant < piece.to) as ZonePiece;
    return Math.floor((instant + offset) / DAY_MS);
  }

  /** Matching calendar days from `start` on, as days since the epoch. */
  private *matchingDays(start: number): Generator<number, void, undefined> {
    const { monthOfYear } = this.fields;
    const date = new Date(start * DAY_MS);
    let year = date.getUTCFullYear();
    let month = date.getUTCMonth() + 1;
    let firstOfMonth = start - date.getUTCDate() + 1;
    const endYear = year + SEARCH_YEARS;
    while (year <= endYear) {
      const length = daysIn(month, year);
      if (monthOfYear.values.has(month)) {
        for (let day = 1; day <= length; day += 1) {
          const number = firstOfMonth + day - 1;
          if (number >= start && this.matchesDay(day, weekday(number))) yield number;
        }
      }
      firstOfMonth += length;
      month = (month % 12) + 1;
      if (month === 1) year += 1;
    }
  }

  private matchesDay(dayOfMonth: number, dayOfWeek: number): boolean {
    const inMonth = this.fields.dayOfMonth.values.has(dayOfMonth);
    const inWeek = this.fields.dayOfWeek.values.has(dayOfWeek);
    return this.eitherDay ? inMonth || inWeek : inMonth && inWeek;
  }

  /** The first instant after `after` that this calendar day brings. */
  private firstOn(day: number, after: number): number | undefined {
    const pieces = this.zone.around(day);
    const midnight = day * DAY_MS;
    // Without a change nearby, the two ways agree, and the recurring one stops at the first match.
    return this.fixed && pieces.length > 1
      ? this.firstFixed(midnight, pieces, after)
      : this.firstRecurring(midnight, pieces, after);
  }

  private firstRecurring(midnight: number, pieces: readonly ZonePiece[], after: number): number | undefined {
    for (const { from, to, offset } of pieces) {
      const earliest = Math.max(from, after + 1) + offset - midnight;
      const time = this.times.find((each) => each >= earliest);
      if (time !== undefined && midnight + time - offset < to) return midnight + time - offset;
    }
    return undefined;
  }

  private firstFixed(midnight: number, pieces: readonly ZonePiece[], after: number): number | undefined {
    const instants = this.times
      .map((time) => this.reached(midnight + time, pieces))
      .filter((instant) => instant !== undefined && instant > after) as number[];
    return instants.length === 0 ? undefined : Math.min(...instants);
  }

  /** The first instant at which the clocks on the wall have reached `wall`. */
  private reached(wall: number, pieces: readonly ZonePiece[]): number | undefined {
    const piece = pieces.find(({ to, offset }) => wall - offset < to) as ZonePiece;
    if (wall - piece.offset >= piece.from) return wall - piece.offset;
    return this.spec.gap === 'skip' ? undefined : piece.from;
  }
}

/** Everything that is wrong with the fields of a crontab specification; `path` names it. */
export function crontabProblems(
  spec: Partial<Record<keyof CrontabSpec, unknown>>,
  path: string,
): ConfigurationProblem[] {
  const fields = CRONTAB_FIELDS.filter((field) => spec[field] !== undefined);
  const problems = fields.map((field) => crontabFieldProblem(spec[field], field, `${path}.${field}`));
  const { timezone, gap, dayRule } = spec;
  if (timezone !== undefined && !isTimeZone(timezone)) {
    const remedy = "Give an IANA name, e.g. 'Europe/Berlin'.";
    problems.push({ path: `${path}.timezone`, expected: 'a known time zone', value: timezone, remedy });
  }
  if (gap !== undefined && gap !== 'run' && gap !== 'skip') {
    problems.push({ path: `${path}.gap`, expected: "'run' or 'skip'", value: gap });
  }
  if (dayRule !== undefined && dayRule !== 'and' && dayRule !== 'or') {
    problems.push({ path: `${path}.dayRule`, expected: "'and' or 'or'", value: dayRule });
  }
  return problems.filter((problem) => problem !== undefined);
}

const DEFAULT_TIME_ZONE = 'UTC';
const SEARCH_YEARS = 41;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function parseFields(spec: CrontabSpec): Record<CrontabFieldName, CrontabField> {
  const parsed = CRONTAB_FIELDS.map((field) => [field, parseCrontabField(spec[field] ?? '*', field)]);
  return Object.fromEntries(parsed) as Record<CrontabFieldName, CrontabField>;
}

function daysIn(month: number, year: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : (DAYS_IN_MONTH[month - 1] as number);
}

/** The epoch began on a Thursday. */
function weekday(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}
