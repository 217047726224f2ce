import { ApiProperty, ApiPropertyOptional, PartialType } from '@nestjs/swagger';
import { SOLAR_EVENTS } from '@taskqueue/core';
import type { SolarEvent } from '@taskqueue/core';
import { IsIn, IsInt, IsNumber, Max, Min } from 'class-validator';
import { Instant, MayBeLeftOut, Text } from '../../http/field.decorators.js';

/** Types and sizes are checked here; whether the words make a schedule is for `validateScheduleSpec`. */
export class CrontabDto {
  @ApiPropertyOptional({ default: '*', example: '0' })
  @MayBeLeftOut()
  @Text(1, 240)
  minute?: string;

  @ApiPropertyOptional({ default: '*', example: '8-18/2' })
  @MayBeLeftOut()
  @Text(1, 96)
  hour?: string;

  @ApiPropertyOptional({ default: '*' })
  @MayBeLeftOut()
  @Text(1, 124)
  dayOfMonth?: string;

  @ApiPropertyOptional({ default: '*' })
  @MayBeLeftOut()
  @Text(1, 64)
  monthOfYear?: string;

  @ApiPropertyOptional({ default: '*', example: 'mon-fri' })
  @MayBeLeftOut()
  @Text(1, 64)
  dayOfWeek?: string;

  @ApiPropertyOptional({ default: 'UTC', example: 'Europe/Berlin' })
  @MayBeLeftOut()
  @Text(1, 64)
  timezone?: string;

  @ApiPropertyOptional({
    enum: ['run', 'skip'],
    default: 'run',
    description: 'At a time that clocks going forward leave out',
  })
  @MayBeLeftOut()
  @IsIn(['run', 'skip'])
  gap?: 'run' | 'skip';

  @ApiPropertyOptional({ enum: ['and', 'or'], default: 'and', description: 'How the two day fields combine' })
  @MayBeLeftOut()
  @IsIn(['and', 'or'])
  dayRule?: 'and' | 'or';
}

export const INTERVAL_UNITS = {
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
} as const;

export type IntervalUnit = keyof typeof INTERVAL_UNITS;

export class IntervalDto {
  @ApiProperty({ example: 30 })
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  every: number;

  @ApiProperty({ enum: Object.keys(INTERVAL_UNITS), example: 'seconds' })
  @IsIn(Object.keys(INTERVAL_UNITS))
  period: IntervalUnit;

  @ApiPropertyOptional({ description: 'Start of the grid; default: the Unix epoch' })
  @MayBeLeftOut()
  @Instant()
  anchor?: string;
}

export class ClockedDto {
  @ApiProperty({ example: '2030-01-31T09:00:00Z' })
  @Instant()
  at: string;
}

export class SolarDto {
  @ApiProperty({ enum: SOLAR_EVENTS, example: 'sunset' })
  @IsIn(SOLAR_EVENTS)
  event: SolarEvent;

  @ApiProperty({ example: 52.52 })
  @IsNumber()
  @Min(-90)
  @Max(90)
  latitude: number;

  @ApiProperty({ example: 13.4 })
  @IsNumber()
  @Min(-180)
  @Max(180)
  longitude: number;
}

const partly = { skipNullProperties: false } as const;
export class CrontabPatch extends PartialType(CrontabDto, partly) {}
export class IntervalPatch extends PartialType(IntervalDto, partly) {}
export class ClockedPatch extends PartialType(ClockedDto, partly) {}
export class SolarPatch extends PartialType(SolarDto, partly) {}
