import { type CrontabField, type CrontabFieldName, DAY_NAMES, MONTH_NAMES } from './crontab-parser.js';

/** More fixed times of the day than this are told as minutes and hours. */
const TIMES_TO_LIST = 6;

/** A crontab in English, e.g. `at 15:00 on Monday to Friday, Europe/Berlin`. */
export function describeCrontab(
  fields: Readonly<Record<CrontabFieldName, CrontabField>>,
  options: { readonly timezone: string; readonly dayRule: 'and' | 'or' },
): string {
  const { minute, hour, monthOfYear } = fields;
  const months = monthOfYear.whole
    ? ''
    : ` in ${series(monthOfYear, (month) => MONTH_NAMES[month - 1] ?? String(month))}`;
  return `${timeOfDay(minute, hour)}${days(fields, options.dayRule)}${months}, ${options.timezone}`;
}

function timeOfDay(minute: CrontabField, hour: CrontabField): string {
  if (minute.listed && hour.listed && minute.values.size * hour.values.size <= TIMES_TO_LIST) {
    return `at ${join([...hour.values].flatMap((h) => [...minute.values].map((m) => `${twoDigits(h)}:${twoDigits(m)}`)))}`;
  }
  const minutes = minute.whole
    ? 'every minute'
    : (rhythm(minute) ?? `at ${plural('minute', minute)} ${series(minute, String)}`);
  if (!hour.whole) return `${minutes} of ${plural('hour', hour)} ${series(hour, String)}`;
  return minutes.startsWith('at') ? `${minutes} of every hour` : minutes;
}

/** `every 15 minutes`, when the hour divides into that without a remainder. */
function rhythm(minute: CrontabField): string | undefined {
  const [first, second] = minute.values;
  if (first !== 0 || second === undefined || second * minute.values.size !== 60) return undefined;
  return [...minute.values].every((value, index) => value === index * second) ? `every ${second} minutes` : undefined;
}

function days(fields: Readonly<Record<CrontabFieldName, CrontabField>>, dayRule: 'and' | 'or'): string {
  const { dayOfMonth, dayOfWeek } = fields;
  const inMonth = `on ${plural('day', dayOfMonth)} ${series(dayOfMonth, String)} of the month`;
  const inWeek = series(dayOfWeek, (day) => DAY_NAMES[day] ?? String(day));
  if (dayOfWeek.whole) return dayOfMonth.whole ? '' : ` ${inMonth}`;
  if (dayOfMonth.whole) return ` on ${inWeek}`;
  return dayRule === 'or' ? ` ${inMonth} or on ${inWeek}` : ` ${inMonth} if it is ${inWeek}`;
}

/** The values with three or more in a row told as `a to b`. */
function series(field: CrontabField, word: (value: number) => string): string {
  const runs: number[][] = [];
  for (const value of field.values) {
    const run = runs.at(-1);
    if (run?.at(-1) === value - 1) run.push(value);
    else runs.push([value]);
  }
  return join(
    runs.flatMap((run) =>
      run.length < 3 ? run.map(word) : [`${word(run[0] as number)} to ${word(run.at(-1) as number)}`],
    ),
  );
}

function join(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function plural(noun: string, field: CrontabField): string {
  return field.values.size === 1 ? noun : `${noun}s`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
