import type {
  CrontabSpec,
  IntervalSpec,
  MisfirePolicy,
  OverlapPolicy,
  ScheduleEntry,
  ScheduleSpec,
  SolarEvent,
  StoredEntry,
} from '@taskqueue/core';
import { UsageError } from '@taskqueue/core';
import { instant, text } from './result-row.js';
import type { TableName } from './dialect.js';
import type { Row, SqlValue } from './sql-store.js';

/** Units of an interval, as django-celery-beat names them, with ours below the second. Milliseconds each. */
export const INTERVAL_PERIODS = {
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
} as const;
/** Units of an interval, as django-celery-beat has them. */
export type IntervalPeriod = keyof typeof INTERVAL_PERIODS;

/** A schedule as a row of the table of its kind; equal schedules share one. */
export interface SpecRow {
  readonly table: TableName;
  /** Column of `periodic_task` that refers to it. */
  readonly reference: SpecReference;
  readonly columns: Readonly<Record<string, string | number>>;
}

export const SPEC_REFERENCES = ['interval_id', 'crontab_id', 'clocked_id', 'solar_id'] as const;
export type SpecReference = (typeof SPEC_REFERENCES)[number];

/** Alias and columns of each kind in the select list of {@link SPEC_JOINS}. */
export const SPEC_TABLES = [
  { table: 'interval_schedule', alias: 'i', reference: 'interval_id', columns: ['every', 'period', 'anchor'] },
  {
    table: 'crontab_schedule',
    alias: 'c',
    reference: 'crontab_id',
    columns: ['minute', 'hour', 'day_of_month', 'month_of_year', 'day_of_week', 'timezone', 'gap', 'day_rule'],
  },
  { table: 'clocked_schedule', alias: 'k', reference: 'clocked_id', columns: ['clocked_time'] },
  { table: 'solar_schedule', alias: 's', reference: 'solar_id', columns: ['event', 'latitude', 'longitude'] },
] as const satisfies readonly {
  table: TableName;
  alias: string;
  reference: SpecReference;
  columns: readonly string[];
}[];

export function specRow(spec: ScheduleSpec): SpecRow {
  switch (spec.kind) {
    case 'interval':
      return { table: 'interval_schedule', reference: 'interval_id', columns: intervalColumns(spec) };
    case 'crontab':
      return { table: 'crontab_schedule', reference: 'crontab_id', columns: crontabColumns(spec) };
    case 'clocked':
      return { table: 'clocked_schedule', reference: 'clocked_id', columns: { clocked_time: spec.at } };
    case 'solar': {
      const { event, latitude, longitude } = spec;
      return { table: 'solar_schedule', reference: 'solar_id', columns: { event, latitude, longitude } };
    }
  }
}

/**
 * The schedule of a row of periodic tasks joined with {@link SPEC_TABLES}; undefined when the row refers to none, as
 * an operator's half-made edit may.
 */
export function specOf(row: Row): ScheduleSpec | undefined {
  if (row['period'] !== null && row['period'] !== undefined) return intervalSpec(row);
  if (row['minute'] !== null && row['minute'] !== undefined) return crontabSpec(row);
  if (row['clocked_time'] !== null && row['clocked_time'] !== undefined) {
    return { kind: 'clocked', at: Number(row['clocked_time']) };
  }
  if (row['event'] === null || row['event'] === undefined) return undefined;
  return {
    kind: 'solar',
    event: row['event'] as SolarEvent,
    latitude: Number(row['latitude']),
    longitude: Number(row['longitude']),
  };
}

/** The entry as it will be read back, with the schedule's defaults resolved: what comparisons are made with. */
export function normalized(entry: ScheduleEntry): ScheduleEntry {
  const schedule = specOf(specRow(entry.schedule).columns);
  return schedule === undefined ? entry : { ...entry, schedule };
}

/** What an entry sets in the table of periodic tasks, without the reference to its schedule. */
export function entryColumns(entry: ScheduleEntry): Readonly<Record<string, SqlValue>> {
  if (entry.name.length === 0 || entry.name.length > 200) {
    throw new UsageError({
      code: 'SCHEDULE_INVALID',
      message: `The name of a schedule entry has 1 to 200 characters; "${entry.name.slice(0, 50)}" has ${entry.name.length}.`,
      fields: { field: 'name', value: entry.name },
    });
  }
  return {
    name: entry.name,
    task: entry.task,
    args: JSON.stringify(entry.args),
    kwargs: JSON.stringify(entry.kwargs),
    queue: entry.queue ?? null,
    priority: entry.priority ?? null,
    headers: entry.headers === undefined ? null : JSON.stringify(entry.headers),
    expire_seconds: entry.expiresMs === undefined ? null : entry.expiresMs / 1_000,
    expires: entry.expiresAt ?? null,
    one_off: entry.oneOff,
    start_time: entry.startTime ?? null,
    enabled: entry.enabled,
    description: entry.description,
    misfire: entry.misfire,
    misfire_limit: entry.misfireLimit,
    misfire_grace_ms: entry.misfireGraceMs,
    jitter_ms: entry.jitterMs,
    overlap: entry.overlap,
  };
}

/** Undefined for a row that refers to no schedule. */
export function storedEntry(row: Row): StoredEntry | undefined {
  const schedule = specOf(row);
  if (schedule === undefined) return undefined;
  const expireSeconds = instant(row['expire_seconds']);
  const headers = text(row['headers']);
  const optional = {
    queue: text(row['queue']),
    priority: instant(row['priority']),
    headers: headers === undefined || headers === '' ? undefined : (written(headers) as Record<string, unknown>),
    expiresMs: expireSeconds === undefined ? undefined : Math.round(expireSeconds * 1_000),
    expiresAt: instant(row['expires']),
    startTime: instant(row['start_time']),
  };
  return {
    ...withoutUndefined(optional),
    name: row['name'] as string,
    task: row['task'] as string,
    schedule,
    args: written(text(row['args']) || '[]') as unknown[],
    kwargs: written(text(row['kwargs']) || '{}') as Record<string, unknown>,
    oneOff: Boolean(row['one_off']),
    enabled: Boolean(row['enabled']),
    description: text(row['description']) ?? '',
    misfire: row['misfire'] as MisfirePolicy,
    misfireLimit: Number(row['misfire_limit']),
    misfireGraceMs: Number(row['misfire_grace_ms']),
    jitterMs: Number(row['jitter_ms']),
    overlap: row['overlap'] as OverlapPolicy,
    dueAt: instant(row['next_due_at']),
    dueFingerprint: text(row['due_fingerprint']),
    lastRunAt: instant(row['last_run_at']),
    lastTaskId: text(row['last_task_id']),
    totalRunCount: Number(row['total_run_count']),
  };
}

/**
 * JSON, or the text itself where an operator's slip left none: beat refuses to send that entry, and says why, and no other
 * entry has to suffer from it.
 */
function written(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return json;
  }
}

/** The largest unit that divides it, as an operator would write it. */
function intervalColumns(spec: IntervalSpec): Record<string, string | number> {
  const periods = Object.entries(INTERVAL_PERIODS);
  const [period, ms] = periods.find(([, length]) => spec.everyMs % length === 0) ?? ['milliseconds', 1];
  return { every: spec.everyMs / ms, period, anchor: spec.anchor ?? 0 };
}

function intervalSpec(row: Row): IntervalSpec {
  const everyMs = Number(row['every']) * INTERVAL_PERIODS[row['period'] as IntervalPeriod];
  const anchor = Number(row['anchor'] ?? 0);
  return { kind: 'interval', everyMs, ...(anchor === 0 ? {} : { anchor }) };
}

function crontabColumns(spec: CrontabSpec): Record<string, string> {
  return {
    minute: spec.minute ?? '*',
    hour: spec.hour ?? '*',
    day_of_month: spec.dayOfMonth ?? '*',
    month_of_year: spec.monthOfYear ?? '*',
    day_of_week: spec.dayOfWeek ?? '*',
    timezone: spec.timezone ?? 'UTC',
    gap: spec.gap ?? 'run',
    day_rule: spec.dayRule ?? 'and',
  };
}

function crontabSpec(row: Row): CrontabSpec {
  return {
    kind: 'crontab',
    minute: row['minute'] as string,
    hour: row['hour'] as string,
    dayOfMonth: row['day_of_month'] as string,
    monthOfYear: row['month_of_year'] as string,
    dayOfWeek: row['day_of_week'] as string,
    timezone: row['timezone'] as string,
    ...(row['gap'] === 'skip' ? { gap: 'skip' } : {}),
    ...(row['day_rule'] === 'or' ? { dayRule: 'or' } : {}),
  };
}

function withoutUndefined<T extends object>(record: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
