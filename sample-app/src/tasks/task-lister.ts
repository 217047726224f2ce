import { Injectable, NotFoundException } from '@nestjs/common';
import type { ResultPage, ResultRecord } from '@taskqueue/core';
import { TaskQueueRuntime } from '@taskqueue/nestjs';
import type { TaskListQuery } from './task-list-query.js';
import type { TaskView } from './task-view.js';
import { viewOf } from './task-view.js';

/** Pages of tasks, newest first. */
@Injectable()
export class TaskLister {
  constructor(private readonly queue: TaskQueueRuntime) {}

  async page({ state, name, limit = 50, cursor }: TaskListQuery): Promise<ResultPage> {
    const page = await this.queue.stores.results?.list?.({
      limit,
      ...(state === undefined ? {} : { states: [state] }),
      ...(name === undefined ? {} : { names: [name] }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (page === undefined) throw new NotFoundException('The result backend cannot list tasks.');
    return page;
  }

  view(record: ResultRecord): TaskView {
    return viewOf(record, this.queue.settings);
  }
}
