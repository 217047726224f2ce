import type { ScheduleSpec } from '@taskqueue/core';
import { nextRuns, scheduleFrom, validateScheduleSpec } from '@taskqueue/core';

const SHOWN = 5;

export interface Upcoming {
  /** In words. */
  readonly description: string;
  readonly timezone: string;
  /** The next five instants, as ISO text with the offset of the time zone. */
  readonly nextRuns: string[];
}

/** When a schedule is due next. A row that someone broke with plain SQL has no runs, and says why. */
export function upcoming(spec: ScheduleSpec, after: number): Upcoming {
  const [problem] = validateScheduleSpec(spec, spec.kind);
  if (problem !== undefined) {
    return { description: `invalid: ${problem.path} must be ${problem.expected}`, timezone: 'UTC', nextRuns: [] };
  }
  const timezone = (spec.kind === 'crontab' ? spec.timezone : undefined) ?? 'UTC';
  const runs = nextRuns(spec, after, SHOWN).map((instant) => isoIn(timezone, instant));
  return { description: scheduleFrom(spec).describe(), timezone, nextRuns: runs };
}

/** E.g. `2026-01-31T15:00:00.000+01:00`. */
function isoIn(timeZone: string, epochMs: number): string {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const name = format.formatToParts(epochMs).find((part) => part.type === 'timeZoneName')?.value ?? 'GMT';
  const [, sign = '+', hours = '00', minutes = '00'] = /^GMT([+-])(\d\d):(\d\d)$/.exec(name) ?? [];
  const offsetMs = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  const local = new Date(epochMs + offsetMs).toISOString();
  return timeZone === 'UTC' ? local : local.replace('Z', `${sign}${hours}:${minutes}`);
}
