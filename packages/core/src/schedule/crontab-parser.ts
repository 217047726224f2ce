import { type ConfigurationProblem, isTaskQueueError, showValue } from '../errors/errors.js';
import { scheduleInvalid } from './schedule-problem.js';
import type { CrontabSpec } from './schedule.js';

/**
 * Celery's crontab text, field by field:
 *
 *     field = item *( "," item )
 *     item  = "*" [ "/" step ]  |  value  |  value "-" value [ "/" step ]
 *     value = number  |  name            names: mon, monday, jan, january, …; three letters or more, any case
 *
 * A range whose end comes before its start wraps: `fri-mon`, `22-2`, `nov-feb`, `31-2`. A step counts from the start of
 * its range, across the wrap. 7 is Sunday, also in a range (`5-7`). Spaces around items are allowed.
 *
 * Stricter than Celery in one thing: a step larger than the field has values is an error, because it means something
 * else than its author thinks (minute 0 for a "minute" of `*\/90`).
 */

/** The five fields in the order of a crontab line. */
export const CRONTAB_FIELDS = ['minute', 'hour', 'dayOfMonth', 'monthOfYear', 'dayOfWeek'] as const;

export type CrontabFieldName = (typeof CRONTAB_FIELDS)[number];

/** A line longer than this is not looked into, characters: more than all fields and many spaces. */
const LONGEST_LINE = 1_285;

/** A parsed field. */
export interface CrontabField {
  readonly text: string;
  /** The values it matches, ascending; Sunday is 0. */
  readonly values: ReadonlySet<number>;
  /** Every item is a single value: no `*`, range or step. Decides how the clock changes are treated. */
  readonly listed: boolean;
  /** Matches every value of the field. */
  readonly whole: boolean;
}

export const DAY_NAMES = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

export const MONTH_NAMES = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

/** `last` is the last value, `lastWritten` the last number that may be written: 7 for a Sunday. */
interface FieldGrammar {
  readonly first: number;
  readonly last: number;
  readonly lastWritten: number;
  /** Names of the values from `first` on. */
  readonly names: readonly string[];
  readonly example: string;
  /** Characters; what the columns of schedules hold, which are those of django-celery-beat. */
  readonly longest: number;
}

const GRAMMARS: Readonly<Record<CrontabFieldName, FieldGrammar>> = {
  minute: { first: 0, last: 59, lastWritten: 59, names: [], example: '*/15', longest: 240 },
  hour: { first: 0, last: 23, lastWritten: 23, names: [], example: '8-18/2', longest: 96 },
  dayOfMonth: { first: 1, last: 31, lastWritten: 31, names: [], example: '1,15', longest: 124 },
  monthOfYear: { first: 1, last: 12, lastWritten: 12, names: MONTH_NAMES, example: 'jan-mar', longest: 64 },
  dayOfWeek: { first: 0, last: 6, lastWritten: 7, names: DAY_NAMES, example: 'mon-fri', longest: 64 },
};

const DIGITS = /^\d+$/;

/**
 * Parses one field. `path` names it in errors; default `crontab.<field>`.
 * Throws a UsageError `SCHEDULE_INVALID` naming the field, the token and its position (from 1).
 */
export function parseCrontabField(text: string, field: CrontabFieldName, path = `crontab.${field}`): CrontabField {
  return new FieldParser(text, GRAMMARS[field], path).parse();
}

/** What is wrong with a field of a specification, or undefined. Takes any value. */
export function crontabFieldProblem(
  value: unknown,
  field: CrontabFieldName,
  path: string,
): ConfigurationProblem | undefined {
  if (typeof value !== 'string') {
    const remedy = `Give the field as text, e.g. '${GRAMMARS[field].example}', or leave it out for '*'.`;
    return { path, expected: 'crontab text', value, remedy };
  }
  try {
    parseCrontabField(value, field, path);
    return undefined;
  } catch (error) {
    if (!isTaskQueueError(error, 'SCHEDULE_INVALID')) throw error;
    return (error.fields['problems'] as readonly ConfigurationProblem[])[0];
  }
}

/**
 * Five fields in one line, `minute hour day-of-month month-of-year day-of-week`, as a specification in UTC.
 * Throws a UsageError `SCHEDULE_INVALID`.
 */
export function parseCrontabText(text: string): CrontabSpec & Readonly<Record<CrontabFieldName, string>> {
  const words = text.length > LONGEST_LINE ? [] : text.trim().split(/\s+/);
  const [minute, hour, dayOfMonth, monthOfYear, dayOfWeek, ...rest] = words;
  if (dayOfWeek === undefined || rest.length > 0) throw scheduleInvalid([lineProblem(text, words.length)]);
  const spec = { kind: 'crontab', minute, hour, dayOfMonth, monthOfYear, dayOfWeek } as CrontabSpec &
    Readonly<Record<CrontabFieldName, string>>;
  for (const field of CRONTAB_FIELDS) parseCrontabField(spec[field], field);
  return spec;
}

function lineProblem(text: string, words: number): ConfigurationProblem {
  const remedy =
    words === 6
      ? 'Crontabs have no seconds: leave the first field out, or use an interval.'
      : "Write minute, hour, day of month, month and day of week, e.g. '0 4 * * 1-5'.";
  return { path: 'crontab', expected: 'five fields separated by spaces', value: text, remedy };
}

class FieldParser {
  private readonly values = new Set<number>();
  private listed = true;

  constructor(
    private readonly text: string,
    private readonly grammar: FieldGrammar,
    private readonly path: string,
  ) {}

  parse(): CrontabField {
    if (this.text.length > this.grammar.longest) this.refuseLength();
    let at = 0;
    for (const item of this.text.split(',')) {
      this.readItem(item.trim(), at + item.length - item.trimStart().length);
      at += item.length + 1;
    }
    return {
      text: this.text,
      values: new Set([...this.values].sort((a, b) => a - b)),
      listed: this.listed,
      whole: this.values.size === this.size,
    };
  }

  private get size(): number {
    return this.grammar.last - this.grammar.first + 1;
  }

  private readItem(item: string, at: number): void {
    const slash = item.indexOf('/');
    const base = slash < 0 ? item : item.slice(0, slash);
    const dash = base.indexOf('-');
    if (base !== '*' && dash < 0) {
      const value = this.readValue(base, at);
      if (slash >= 0) this.refuseStepAfterValue(item, at);
      this.add(value);
      return;
    }
    this.listed = false;
    const step = slash < 0 ? 1 : this.readStep(item.slice(slash + 1), at + slash + 1);
    const [from, to] =
      base === '*'
        ? [this.grammar.first, this.grammar.last]
        : [this.readValue(base.slice(0, dash), at), this.readValue(base.slice(dash + 1), at + dash + 1)];
    this.addRange(from, to, step);
  }

  private addRange(start: number, end: number, step: number): void {
    // A 7 that starts a range is the Sunday before the rest of it; one that ends it is the Sunday after.
    const from = start > this.grammar.last ? this.grammar.first : start;
    const to = start > this.grammar.last && end > this.grammar.last ? this.grammar.first : end;
    const length = (to >= from ? to - from : to - from + this.size) + 1;
    for (let index = 0; index < length; index += step) this.add(from + index);
  }

  private add(value: number): void {
    this.values.add(((value - this.grammar.first) % this.size) + this.grammar.first);
  }

  private readValue(token: string, at: number): number {
    const { first, lastWritten, names } = this.grammar;
    const number = DIGITS.test(token) ? Number(token) : first + indexOfName(token, names);
    if (number < first || number > lastWritten) this.refuseValue(token, at);
    return number;
  }

  private readStep(token: string, at: number): number {
    const step = DIGITS.test(token) ? Number(token) : 0;
    if (step >= 1 && step <= this.size) return step;
    return this.refuse({
      expected: `a step from 1 to ${this.size}`,
      token,
      at,
      remedy: `Write e.g. '*/2'; a longer period needs a coarser field or an interval.`,
    });
  }

  private refuseValue(token: string, at: number): never {
    const { first, lastWritten, names, example } = this.grammar;
    const named = names.length === 0 ? '' : ` or a name such as ${names[0]?.slice(0, 3).toLowerCase()}`;
    this.refuse({
      expected: `a number from ${first} to ${lastWritten}${named}`,
      token,
      at,
      remedy: `Write e.g. '${example}'${token === '' ? ', without empty items' : ''}.`,
    });
  }

  private refuseStepAfterValue(token: string, at: number): never {
    const remedy = `Write '${token.replace('/', `-${this.grammar.last}/`)}' or '*${token.slice(token.indexOf('/'))}'.`;
    this.refuse({ expected: 'a range or * before a step', token, at, remedy });
  }

  private refuseLength(): never {
    const remedy = 'Use ranges, steps and short names instead of a long list.';
    const expected = `at most ${this.grammar.longest} characters`;
    throw scheduleInvalid([{ path: this.path, expected, value: this.text, remedy }]);
  }

  private refuse(fault: { expected: string; token: string; at: number; remedy: string }): never {
    const place = `at position ${fault.at + 1}${fault.token === '' ? '' : `, where ${showValue(fault.token)} stands`}`;
    throw scheduleInvalid([
      { path: this.path, expected: `${fault.expected} ${place}`, value: this.text, remedy: fault.remedy },
    ]);
  }
}

/** Index of the name that the token abbreviates to three letters or more; −Infinity, below every value, when none. */
function indexOfName(token: string, names: readonly string[]): number {
  const start = token.toLowerCase();
  const index = start.length < 3 ? -1 : names.findIndex((name) => name.toLowerCase().startsWith(start));
  return index < 0 ? Number.NEGATIVE_INFINITY : index;
}
