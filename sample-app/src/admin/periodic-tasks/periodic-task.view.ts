import { ApiProperty } from '@nestjs/swagger';
import type { MisfirePolicy, OverlapPolicy, ScheduleSpec } from '@taskqueue/core';
import type { PeriodicTask } from '@taskqueue/typeorm';
import { Page } from '../../http/page.js';
import { instantText, KINDS, SCHEDULE_KINDS } from '../schedules/schedule-kinds.js';
import { ClockedDto, CrontabDto, IntervalDto, SolarDto } from '../schedules/schedule.dto.js';
import { upcoming } from '../schedules/upcoming.js';

/** A periodic task as the API shows it: as it may be sent back, and what beat knows of it. */
export class PeriodicTaskView {
  @ApiProperty()
  id: number;
  @ApiProperty()
  name: string;
  @ApiProperty()
  task: string;
  @ApiProperty({ type: CrontabDto, nullable: true })
  crontab: (CrontabDto & { id: number }) | null;
  @ApiProperty({ type: IntervalDto, nullable: true })
  interval: (IntervalDto & { id: number }) | null;
  @ApiProperty({ type: ClockedDto, nullable: true })
  clocked: (ClockedDto & { id: number }) | null;
  @ApiProperty({ type: SolarDto, nullable: true })
  solar: (SolarDto & { id: number }) | null;
  @ApiProperty({ type: 'array', items: {} })
  args: unknown[];
  @ApiProperty({ type: Object })
  kwargs: Record<string, unknown>;
  @ApiProperty({ type: String, nullable: true })
  queue: string | null;
  @ApiProperty({ type: Number, nullable: true })
  priority: number | null;
  @ApiProperty({ type: Object, nullable: true })
  headers: Record<string, unknown> | null;
  @ApiProperty({ type: String, nullable: true })
  expires: string | null;
  @ApiProperty({ type: Number, nullable: true })
  expireSeconds: number | null;
  @ApiProperty()
  oneOff: boolean;
  @ApiProperty({ type: String, nullable: true })
  startTime: string | null;
  @ApiProperty()
  enabled: boolean;
  @ApiProperty()
  description: string;
  @ApiProperty()
  misfire: MisfirePolicy;
  @ApiProperty()
  overlap: OverlapPolicy;
  @ApiProperty()
  jitterMs: number;
  @ApiProperty({ description: 'Code declares it: deleted, it comes back when beat starts; edited fields stay edited' })
  declaredInCode: boolean;
  @ApiProperty({ type: String, nullable: true })
  lastRunAt: string | null;
  @ApiProperty()
  totalRunCount: number;
  @ApiProperty({ type: String, nullable: true, description: 'Of the last run: see GET /tasks/:id' })
  lastTaskId: string | null;
  @ApiProperty({ description: 'The schedule in words' })
  schedule: string;
  @ApiProperty({ description: 'The time zone of the next runs' })
  timezone: string;
  @ApiProperty({ type: [String], description: 'The next five; none while it is disabled' })
  nextRuns: string[];
}

export class PeriodicTaskPage extends Page {
  @ApiProperty({ type: [PeriodicTaskView] })
  items: PeriodicTaskView[];
}

/** Relations of the row that {@link viewOf} reads. */
export const SCHEDULE_RELATIONS = { crontab: true, interval: true, clocked: true, solar: true } as const;

export function viewOf(row: PeriodicTask, now: number): PeriodicTaskView {
  return {
    id: Number(row.id),
    name: row.name,
    task: row.task,
    ...schedulesOf(row),
    args: written(row.args || '[]') as unknown[],
    kwargs: written(row.kwargs || '{}') as Record<string, unknown>,
    queue: row.queue,
    priority: row.priority,
    headers: row.headers === null || row.headers === '' ? null : (written(row.headers) as Record<string, unknown>),
    expires: row.expires === null ? null : instantText(row.expires),
    expireSeconds: row.expireSeconds,
    oneOff: row.oneOff,
    startTime: row.startTime === null ? null : instantText(row.startTime),
    enabled: row.enabled,
    description: row.description,
    misfire: row.misfire,
    overlap: row.overlap,
    jitterMs: row.jitterMs,
    declaredInCode: row.declared !== null,
    lastRunAt: row.lastRunAt === null ? null : instantText(row.lastRunAt),
    totalRunCount: row.totalRunCount,
    lastTaskId: row.lastTaskId,
    ...runsOf(row, now),
  };
}

function schedulesOf(row: PeriodicTask): Pick<PeriodicTaskView, 'crontab' | 'interval' | 'clocked' | 'solar'> {
  const entries = SCHEDULE_KINDS.map((kind) => {
    const schedule = row[kind];
    return [kind, schedule === null ? null : { id: Number(schedule.id), ...KINDS[kind].dto(schedule) }];
  });
  return Object.fromEntries(entries) as ReturnType<typeof schedulesOf>;
}

function runsOf(row: PeriodicTask, now: number): Pick<PeriodicTaskView, 'schedule' | 'timezone' | 'nextRuns'> {
  const spec = specOf(row);
  if (spec === undefined) return { schedule: 'none', timezone: 'UTC', nextRuns: [] };
  const after = Math.max(now, (row.startTime ?? 0) - 1);
  const { description: schedule, timezone, nextRuns } = upcoming(spec, after);
  const expires = row.expires ?? Infinity;
  const runs = row.enabled ? nextRuns.filter((run) => Date.parse(run) <= expires) : [];
  return { schedule, timezone, nextRuns: row.oneOff ? runs.slice(0, 1) : runs };
}

function specOf(row: PeriodicTask): ScheduleSpec | undefined {
  for (const kind of SCHEDULE_KINDS) {
    const schedule = row[kind];
    if (schedule !== null) return KINDS[kind].spec(KINDS[kind].dto(schedule));
  }
  return undefined;
}

/** A row that someone broke with plain SQL is shown as it is, so that it can be seen and mended here. */
function written(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return json;
  }
}
