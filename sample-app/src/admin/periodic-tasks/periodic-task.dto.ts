import { ApiProperty, ApiPropertyOptional, PartialType } from '@nestjs/swagger';
import type { MisfirePolicy, OverlapPolicy } from '@taskqueue/core';
import { Type } from 'class-transformer';
import {
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsNumber,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { Instant, MayBeLeftOut, RowId, Text } from '../../http/field.decorators.js';
import { PageQuery } from '../../http/page.js';
import { ClockedDto, CrontabDto, IntervalDto, SolarDto } from '../schedules/schedule.dto.js';

/** Null means "none" where a field can be without a value. */
const NULLABLE = { nullable: true } as const;

/** A periodic task: exactly one schedule, given inline or by the id of its row. */
export class PeriodicTaskDto {
  @ApiProperty({ example: 'Weekly report' })
  @Text(1, 200)
  name: string;

  @ApiProperty({ example: 'reports.sales' })
  @Text(1, 200)
  task: string;

  @ApiPropertyOptional({ type: CrontabDto })
  @MayBeLeftOut()
  @IsObject()
  @ValidateNested()
  @Type(() => CrontabDto)
  crontab?: CrontabDto;

  @ApiPropertyOptional({ type: IntervalDto })
  @MayBeLeftOut()
  @IsObject()
  @ValidateNested()
  @Type(() => IntervalDto)
  interval?: IntervalDto;

  @ApiPropertyOptional({ type: ClockedDto })
  @MayBeLeftOut()
  @IsObject()
  @ValidateNested()
  @Type(() => ClockedDto)
  clocked?: ClockedDto;

  @ApiPropertyOptional({ type: SolarDto })
  @MayBeLeftOut()
  @IsObject()
  @ValidateNested()
  @Type(() => SolarDto)
  solar?: SolarDto;

  @ApiPropertyOptional({ description: 'Instead of `crontab`' })
  @MayBeLeftOut()
  @RowId()
  crontabId?: number;

  @ApiPropertyOptional({ description: 'Instead of `interval`' })
  @MayBeLeftOut()
  @RowId()
  intervalId?: number;

  @ApiPropertyOptional({ description: 'Instead of `clocked`' })
  @MayBeLeftOut()
  @RowId()
  clockedId?: number;

  @ApiPropertyOptional({ description: 'Instead of `solar`' })
  @MayBeLeftOut()
  @RowId()
  solarId?: number;

  @ApiPropertyOptional({ type: 'array', items: {}, default: [], example: [{ from: '2026-01-01', to: '2026-12-31' }] })
  @MayBeLeftOut()
  @IsArray()
  args?: unknown[];

  @ApiPropertyOptional({ type: Object, default: {}, example: {} })
  @MayBeLeftOut()
  @IsObject()
  kwargs?: Record<string, unknown>;

  @ApiPropertyOptional({ type: String, ...NULLABLE, description: "Default: the task's own queue" })
  @IsOptional()
  @Text(1, 200)
  queue?: string | null;

  @ApiPropertyOptional({ type: Number, ...NULLABLE, minimum: 0, maximum: 9, description: 'Higher is more urgent' })
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(9)
  priority?: number | null;

  @ApiPropertyOptional({ type: Object, ...NULLABLE, description: 'Travel with the message' })
  @IsOptional()
  @IsObject()
  headers?: Record<string, unknown> | null;

  @ApiPropertyOptional({ type: String, ...NULLABLE, description: 'Nothing is sent after this instant' })
  @IsOptional()
  @Instant()
  expires?: string | null;

  @ApiPropertyOptional({ type: Number, ...NULLABLE, description: 'A task expires so long after it was due' })
  @IsOptional()
  @IsNumber()
  @Min(0.001)
  @Max(10_000_000_000)
  expireSeconds?: number | null;

  @ApiPropertyOptional({ description: 'Switch off after the first run; default: true for clocked, else false' })
  @MayBeLeftOut()
  @IsBoolean()
  oneOff?: boolean;

  @ApiPropertyOptional({ type: String, ...NULLABLE, description: 'No run before this instant' })
  @IsOptional()
  @Instant()
  startTime?: string | null;

  @ApiPropertyOptional({ default: true })
  @MayBeLeftOut()
  @IsBoolean()
  enabled?: boolean;

  @ApiPropertyOptional({ default: '' })
  @MayBeLeftOut()
  @Text(0, 2_000)
  description?: string;

  @ApiPropertyOptional({
    enum: ['skip', 'one', 'all'],
    default: 'one',
    description: 'About runs that no beat was there for',
  })
  @MayBeLeftOut()
  @IsIn(['skip', 'one', 'all'])
  misfire?: MisfirePolicy;

  @ApiPropertyOptional({ enum: ['allow', 'skip'], default: 'allow', description: 'While the run before has not ended' })
  @MayBeLeftOut()
  @IsIn(['allow', 'skip'])
  overlap?: OverlapPolicy;

  @ApiPropertyOptional({ default: 0, description: 'Each run is delayed by a random time up to this' })
  @MayBeLeftOut()
  @IsInt()
  @Min(0)
  @Max(86_400_000)
  jitterMs?: number;
}

export class PeriodicTaskPatch extends PartialType(PeriodicTaskDto, { skipNullProperties: false }) {}

export class PeriodicTaskQuery extends PageQuery {
  @ApiPropertyOptional({ enum: ['true', 'false'] })
  @IsOptional()
  @IsIn(['true', 'false'])
  enabled?: 'true' | 'false';

  @ApiPropertyOptional({ example: 'playground.heartbeat' })
  @IsOptional()
  @Text(1, 200)
  task?: string;
}
