import type { ConfigurationProblem, ScheduleInit } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';

/** What `@Cron` leaves behind on a method, as far as it has a meaning for a task. */
export interface CronOptions {
  readonly cronTime: unknown;
  readonly name?: string;
  readonly timeZone?: unknown;
  readonly utcOffset?: unknown;
  readonly disabled?: boolean;
  readonly waitForCompletion?: boolean;
}

type When = Pick<ScheduleInit, 'every' | 'crontab' | 'clocked'>;

/** Short forms that the cron package knows. */
const PRESETS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@hourly': '0 * * * *',
  '@minutely': '* * * * *',
  '@secondly': '* * * * * *',
  '@weekdays': '0 0 * * 1-5',
  '@weekends': '0 0 * * 0,6',
};

/** The last value of each crontab field, for `n/step`, which the cron package reads as `n-last/step`. */
const LAST_VALUES = [59, 23, 31, 12, 7];

/**
 * A `@Cron` as a schedule of ours: a date is clocked, seconds in an even step are an interval, anything else is a
 * crontab in the zone that `@nestjs/schedule` would use (the process's, unless one is given), with POSIX's rule for
 * the days. `source` names the method in errors. Throws a ConfigurationError for what cannot be expressed.
 */
export function scheduleOfCron(options: CronOptions, source: string): When {
  const instant = instantOf(options.cronTime);
  if (instant !== undefined) return { clocked: instant };
  if (typeof options.cronTime !== 'string') throw refusal(source, options.cronTime, 'a cron expression or a date');
  const words = withoutPreset(options.cronTime).trim().split(/\s+/);
  if (words.length === 5) return crontab(words, options, source);
  if (words.length !== 6) throw refusal(source, options.cronTime, 'five or six fields');
  const [seconds, ...rest] = words as [string, ...string[]];
  if (/^0+$/.test(seconds)) return crontab(rest, options, source);
  return { every: secondsBetween(seconds, rest, options.cronTime, source) * 1_000 };
}

/** A Date, or a luxon DateTime. */
function instantOf(cronTime: unknown): Date | undefined {
  if (cronTime instanceof Date) return cronTime;
  if (typeof cronTime !== 'object' || cronTime === null || !('toMillis' in cronTime)) return undefined;
  return new Date((cronTime as { toMillis(): number }).toMillis());
}

function withoutPreset(text: string): string {
  return PRESETS[text.toLowerCase()] ?? text;
}

function crontab(words: readonly string[], options: CronOptions, source: string): When {
  const [minute, hour, dayOfMonth, monthOfYear, dayOfWeek] = words.map(withRangeEnds) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const timezone = timeZoneOf(options, source);
  return { crontab: { minute, hour, dayOfMonth, monthOfYear, dayOfWeek, timezone, dayRule: 'or' } };
}

function withRangeEnds(word: string, field: number): string {
  return word.replace(/(^|,)(\d+)\/(\d+)/g, `$1$2-${LAST_VALUES[field]}/$3`);
}

function timeZoneOf({ timeZone, utcOffset }: CronOptions, source: string): string {
  if (typeof timeZone === 'string') return timeZone;
  if (utcOffset === undefined || utcOffset === null) return Intl.DateTimeFormat().resolvedOptions().timeZone;
  const hours = typeof utcOffset === 'number' ? utcOffset / 60 : Number.NaN;
  if (hours === 0) return 'UTC';
  // The signs of these names are the other way round: Etc/GMT-2 is two hours ahead.
  if (Number.isInteger(hours) && hours >= -12 && hours <= 14)
    return `Etc/GMT${hours > 0 ? '-' : '+'}${Math.abs(hours)}`;
  throw refusal(source, utcOffset, 'a utcOffset of whole hours, in minutes', 'Give a timeZone instead.', 'utcOffset');
}

function secondsBetween(seconds: string, rest: readonly string[], cronTime: string, source: string): number {
  const step = seconds === '*' ? 1 : Number(/^\*\/(\d+)$/.exec(seconds)?.[1] ?? Number.NaN);
  const always = rest.every((word) => /^\*(\/0*1)?$/.test(word));
  if (always && step >= 1 && 60 % step === 0) return step;
  throw refusal(
    source,
    cronTime,
    'no seconds other than 0, or */N in every minute where N divides 60',
    'Crontabs of the task queue have no seconds: use @Interval, or @Every of the task queue.',
  );
}

function refusal(
  source: string,
  value: unknown,
  expected: string,
  remedy = 'Change it, or declare the schedule with @Crontab or @Every.',
  field = 'cronTime',
): ConfigurationError {
  const problem: ConfigurationProblem = { path: `${source} @Cron ${field}`, expected, value, remedy };
  return new ConfigurationError([problem]);
}
