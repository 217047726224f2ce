import { Controller, Delete, Get, HttpCode, Module, NotFoundException, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { isTerminal, TaskClient, TaskQueueRuntime } from '@taskqueue/nestjs';
import { IsIn, IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { Type } from 'class-transformer';
import { TASK_STATES } from '@taskqueue/core';
import type { TaskState } from '@taskqueue/core';
import { TaskView, viewOf } from './task-view.js';

class TaskListQuery {
  @ApiPropertyOptional({ enum: TASK_STATES })
  @IsOptional()
  @IsIn(TASK_STATES)
  state?: TaskState;

  @ApiPropertyOptional({ example: 'mail.sendWelcome' })
  @IsOptional()
  @IsString()
  @MaxLength(255)
  name?: string;

  @ApiPropertyOptional({ default: 50 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(500)
  limit?: number;

  @ApiPropertyOptional({ description: '`nextCursor` of the page before' })
  @IsOptional()
  @IsString()
  @MaxLength(500)
  cursor?: string;
}

class TaskPage {
  @ApiProperty({ type: [TaskView] })
  tasks: TaskView[];

  @ApiPropertyOptional()
  nextCursor?: string;
}

@ApiTags('tasks')
@Controller('tasks')
export class TasksController {
  constructor(
    private readonly tasks: TaskClient,
    private readonly queue: TaskQueueRuntime,
  ) {}

  @Get()
  @ApiOkResponse({ type: TaskPage })
  async list(@Query() { state, name, limit = 50, cursor }: TaskListQuery): Promise<TaskPage> {
    const page = await this.queue.stores.results?.list?.({
      limit,
      ...(state === undefined ? {} : { states: [state] }),
      ...(name === undefined ? {} : { names: [name] }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (page === undefined) throw new NotFoundException('The result backend cannot list tasks.');
    const tasks = page.records.map((record) => viewOf(record, this.queue.settings));
    return page.nextCursor === undefined ? { tasks } : { tasks, nextCursor: page.nextCursor };
  }

  @Get(':id')
  @ApiOkResponse({ type: TaskView })
  async show(@Param('id') id: string): Promise<TaskView> {
    return this.view(id);
  }

  /** Revokes the task; one that runs is told to stop. */
  @Delete(':id')
  @HttpCode(200)
  @ApiOkResponse({ type: TaskView })
  async revoke(@Param('id') id: string): Promise<TaskView> {
    const before = await this.view(id);
    if (isTerminal(before.state)) return before;
    await this.tasks.handle(id).revoke({ terminate: true });
    return this.view(id);
  }

  private async view(id: string): Promise<TaskView> {
    const record = await this.tasks.handle(id).record();
    if (record === undefined) throw new NotFoundException(`No task has the id ${id}.`);
    return viewOf(record, this.queue.settings);
  }
}

@Module({ controllers: [TasksController] })
export class TasksModule {}
