import { ApiPropertyOptional } from '@nestjs/swagger';
import type { TaskState } from '@taskqueue/core';
import { TASK_STATES } from '@taskqueue/core';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, Max, Min } from 'class-validator';
import { EmptyIsLeftOut, Text } from '../http/field.decorators.js';

export class TaskListQuery {
  @ApiPropertyOptional({ enum: TASK_STATES })
  @EmptyIsLeftOut()
  @IsOptional()
  @IsIn(TASK_STATES)
  state?: TaskState;

  @ApiPropertyOptional({ example: 'mail.sendWelcome' })
  @EmptyIsLeftOut()
  @IsOptional()
  @Text(1, 255)
  name?: string;

  @ApiPropertyOptional({ default: 50, minimum: 1, maximum: 500 })
  @EmptyIsLeftOut()
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(500)
  limit?: number;

  @ApiPropertyOptional({ description: '`nextCursor` of the page before' })
  @EmptyIsLeftOut()
  @IsOptional()
  @Text(1, 500)
  cursor?: string;
}
