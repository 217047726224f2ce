import type { ScheduleSpec } from '@taskqueue/core';
import { ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule } from '@taskqueue/typeorm';
import { ClockedDto, CrontabDto, INTERVAL_UNITS, IntervalDto, SolarDto } from './schedule.dto.js';

/** The four kinds, as fields of a periodic task. */
export const SCHEDULE_KINDS = ['crontab', 'interval', 'clocked', 'solar'] as const;
export type KindName = (typeof SCHEDULE_KINDS)[number];

/** A row of a schedule table. */
export interface Identified {
  id: number;
}

/** How one kind goes from request to row, from row to answer, and to core's specification. */
export interface ScheduleKind<Row extends Identified, Dto extends object> {
  readonly name: KindName;
  readonly entity: new () => Row;
  /** Every column but the id, with defaults written out, so that equal schedules are equal rows. */
  columns(dto: Dto): Omit<Row, 'id'>;
  dto(row: Row): Dto;
  spec(dto: Readonly<Dto>): ScheduleSpec;
  /** Field of the specification → field of the request, where these differ. */
  readonly fields: Readonly<Record<string, string>>;
}

export const CRONTAB: ScheduleKind<CrontabSchedule, CrontabDto> = {
  name: 'crontab',
  entity: CrontabSchedule,
  columns: (dto) => ({
    minute: dto.minute ?? '*',
    hour: dto.hour ?? '*',
    dayOfMonth: dto.dayOfMonth ?? '*',
    monthOfYear: dto.monthOfYear ?? '*',
    dayOfWeek: dto.dayOfWeek ?? '*',
    timezone: dto.timezone ?? 'UTC',
    gap: dto.gap ?? 'run',
    dayRule: dto.dayRule ?? 'and',
  }),
  dto: ({ id: _id, ...fields }) => fields,
  spec: (dto) => ({ kind: 'crontab', ...dto }),
  fields: {},
};

export const INTERVAL: ScheduleKind<IntervalSchedule, IntervalDto> = {
  name: 'interval',
  entity: IntervalSchedule,
  columns: ({ every, period, anchor }) => ({ every, period, anchor: anchor === undefined ? 0 : Date.parse(anchor) }),
  dto: ({ every, period, anchor }) => ({
    every,
    period,
    ...(anchor === 0 ? {} : { anchor: instantText(anchor) }),
  }),
  spec: ({ every, period, anchor }) => ({
    kind: 'interval',
    everyMs: every * INTERVAL_UNITS[period],
    ...(anchor === undefined ? {} : { anchor: Date.parse(anchor) }),
  }),
  fields: { everyMs: 'every' },
};

export const CLOCKED: ScheduleKind<ClockedSchedule, ClockedDto> = {
  name: 'clocked',
  entity: ClockedSchedule,
  columns: ({ at }) => ({ clockedTime: Date.parse(at) }),
  dto: ({ clockedTime }) => ({ at: instantText(clockedTime) }),
  spec: ({ at }) => ({ kind: 'clocked', at: Date.parse(at) }),
  fields: {},
};

export const SOLAR: ScheduleKind<SolarSchedule, SolarDto> = {
  name: 'solar',
  entity: SolarSchedule,
  columns: ({ event, latitude, longitude }) => ({ event, latitude, longitude }),
  dto: ({ event, latitude, longitude }) => ({ event, latitude, longitude }),
  spec: ({ event, latitude, longitude }) => ({ kind: 'solar', event, latitude, longitude }),
  fields: {},
};

/** ISO text; of a number that is no instant, as plain SQL may leave it, the number. */
export function instantText(epochMs: number): string {
  const date = new Date(epochMs);
  return Number.isNaN(date.getTime()) ? String(epochMs) : date.toISOString();
}

/** A kind whose rows and requests are not looked into. */
export type AnyScheduleKind = ScheduleKind<Identified, object>;

export const KINDS = { crontab: CRONTAB, interval: INTERVAL, clocked: CLOCKED, solar: SOLAR } as unknown as Readonly<
  Record<KindName, AnyScheduleKind>
>;
