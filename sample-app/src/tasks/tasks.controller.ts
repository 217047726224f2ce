import { Controller, Delete, Get, NotFoundException, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import type { ResultRecord } from '@taskqueue/core';
import { isTaskQueueError, isTerminal, TaskClient } from '@taskqueue/nestjs';
import { TaskIdPipe } from '../http/id.pipe.js';
import { TaskListQuery } from './task-list-query.js';
import { TaskLister } from './task-lister.js';
import { TaskView } from './task-view.js';

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
    private readonly lister: TaskLister,
  ) {}

  @ApiOperation({ summary: 'Tasks, newest first' })
  @Get()
  @ApiOkResponse({ type: TaskPage })
  async list(@Query() query: TaskListQuery): Promise<TaskPage> {
    const { records, nextCursor } = await this.lister.page(query);
    const tasks = records.map((record) => this.lister.view(record));
    return nextCursor === undefined ? { tasks } : { tasks, nextCursor };
  }

  @ApiOperation({ summary: 'State, progress and result of a task' })
  @Get(':id')
  @ApiOkResponse({ type: TaskView })
  async show(@Param('id', TaskIdPipe) id: string): Promise<TaskView> {
    const record = await this.recordOf(id);
    if (record === undefined) throw new NotFoundException(`No task has the id ${id}.`);
    return this.lister.view(record);
  }

  /** Revokes the task; one that runs is told to stop, and is REVOKED when it did. */
  @ApiOperation({ summary: 'Revoke: a task that waits never starts, one that runs is told to stop' })
  @Delete(':id')
  @ApiOkResponse({ type: TaskView })
  async revoke(@Param('id', TaskIdPipe) id: string): Promise<TaskView> {
    const before = await this.show(id);
    if (isTerminal(before.state)) return before;
    await this.tasks.handle(id).revoke({ terminate: true });
    return this.show(id);
  }

  /** Results by rpc are known only to the process that sent the task, and not for ever. */
  private async recordOf(id: string): Promise<ResultRecord | undefined> {
    try {
      return await this.tasks.handle(id).record();
    } catch (error) {
      if (isTaskQueueError(error, 'RESULT_UNAVAILABLE')) return undefined;
      throw error;
    }
  }
}
