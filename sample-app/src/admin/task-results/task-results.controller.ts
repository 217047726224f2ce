import { Delete, Get, HttpCode, NotFoundException, Param, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { TaskClient } from '@taskqueue/nestjs';
import type { ResultRecord } from '@taskqueue/nestjs';
import { TaskIdPipe } from '../../http/id.pipe.js';
import { TaskListQuery } from '../../tasks/task-list-query.js';
import { TaskLister } from '../../tasks/task-lister.js';
import { TaskView } from '../../tasks/task-view.js';
import { AdminController } from '../admin-controller.decorator.js';

/** A task with what only operators need to know. */
class TaskResultView extends TaskView {
  @ApiProperty({ type: String, nullable: true })
  queue: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Text for reading, shortened' })
  args: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Text for reading, shortened' })
  kwargs: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'The periodic task that sent it' })
  periodicTaskName: string | null;
  @ApiProperty({ type: String, nullable: true })
  parentId: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Removed after this' })
  expiresAt: string | null;
}

class TaskResultPage {
  @ApiProperty({ type: [TaskResultView] })
  items: TaskResultView[];
  @ApiPropertyOptional()
  nextCursor?: string;
}

@AdminController('task-results')
export class TaskResultsController {
  constructor(
    private readonly lister: TaskLister,
    private readonly tasks: TaskClient,
  ) {}

  /** Newest first, page by page with `cursor`: there may be millions. */
  @Get()
  @ApiOkResponse({ type: TaskResultPage })
  async list(@Query() query: TaskListQuery): Promise<TaskResultPage> {
    const { records, nextCursor } = await this.lister.page(query);
    const items = records.map((record) => this.view(record));
    return nextCursor === undefined ? { items } : { items, nextCursor };
  }

  @Get(':id')
  @ApiOkResponse({ type: TaskResultView })
  async show(@Param('id', TaskIdPipe) id: string): Promise<TaskResultView> {
    return this.view(await this.record(id));
  }

  /** Forgets the result. */
  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  async remove(@Param('id', TaskIdPipe) id: string): Promise<void> {
    await this.record(id);
    await this.tasks.handle(id).forget();
  }

  private async record(id: string): Promise<ResultRecord> {
    const record = await this.tasks.handle(id).record();
    if (record === undefined) throw new NotFoundException(`No task has the id ${id}.`);
    return record;
  }

  private view(record: ResultRecord): TaskResultView {
    const { queue, argsRepr, kwargsRepr, periodicTaskName, parentId, expiresAt } = record;
    const task: Readonly<TaskView> = this.lister.view(record);
    return {
      ...task,
      queue: queue ?? null,
      args: argsRepr ?? null,
      kwargs: kwargsRepr ?? null,
      periodicTaskName: periodicTaskName ?? null,
      parentId: parentId ?? null,
      expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    };
  }
}
