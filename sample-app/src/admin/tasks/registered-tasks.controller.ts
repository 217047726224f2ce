import { Get, NotFoundException, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiProperty } from '@nestjs/swagger';
import type { RegisteredTask, TaskQueueSettings } from '@taskqueue/core';
import { TaskQueueRuntime } from '@taskqueue/nestjs';
import { Page, PageQuery, rowsOf } from '../../http/page.js';
import { AdminController } from '../admin-controller.decorator.js';

class RegisteredTaskView {
  @ApiProperty()
  name: string;
  @ApiProperty({ description: 'Class and method' })
  source: string;
  @ApiProperty()
  queue: string;
  @ApiProperty()
  priority: number;
  @ApiProperty({ type: [String], description: 'Names of the arguments, where they are declared' })
  params: readonly string[];
  @ApiProperty({ description: 'Arguments that are checked against a schema' })
  checkedArguments: number;
  @ApiProperty({ description: 'Tries after the first' })
  maxRetries: number;
  @ApiProperty({ type: Number, nullable: true })
  softTimeLimitMs: number | null;
  @ApiProperty({ type: Number, nullable: true })
  timeLimitMs: number | null;
}

class RegisteredTaskPage extends Page {
  @ApiProperty({ type: [RegisteredTaskView] })
  items: RegisteredTaskView[];
}

/** The tasks that code declares: what a periodic task can send. */
@AdminController('tasks')
export class RegisteredTasksController {
  constructor(private readonly queue: TaskQueueRuntime) {}

  @Get()
  @ApiOkResponse({ type: RegisteredTaskPage })
  list(@Query() query: PageQuery): RegisteredTaskPage {
    const { page, limit, skip, take } = rowsOf(query);
    const tasks = this.queue.registry.all();
    const items = tasks.slice(skip, skip + take).map((task) => viewOf(task, this.queue.settings));
    return { items, page, limit, total: tasks.length };
  }

  @Get(':name')
  @ApiOkResponse({ type: RegisteredTaskView })
  show(@Param('name') name: string): RegisteredTaskView {
    const task = this.queue.registry.find(name);
    if (task === undefined) throw new NotFoundException(`No task is named ${name}.`);
    return viewOf(task, this.queue.settings);
  }
}

function viewOf({ definition, source }: RegisteredTask, settings: TaskQueueSettings): RegisteredTaskView {
  const { name, queue = settings.defaultQueue, priority, params, schemas, retry } = definition;
  return {
    name,
    source,
    queue,
    priority,
    params,
    checkedArguments: schemas.filter((schema) => schema !== undefined).length,
    maxRetries: retry.max,
    softTimeLimitMs: definition.softTimeLimitMs ?? null,
    timeLimitMs: definition.timeLimitMs ?? null,
  };
}
