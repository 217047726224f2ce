import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { ScheduleEntry } from '@taskqueue/core';
import { classOf } from '../execution/task-pipeline.js';
import { TASK_QUEUE_OPTIONS } from '../task-queue.constants.js';
import type { TaskQueueModuleOptions } from '../task-queue.module-options.js';
import { adoptMethods } from './adopted-schedule.js';

/**
 * Takes `@Cron`, `@Interval` and `@Timeout` methods over from `@nestjs/schedule`. It does so in its constructor, that is
 * before any module's `onModuleInit`, in which that package looks for them.
 */
@Injectable()
export class NestScheduleAdoption {
  readonly entries: readonly ScheduleEntry[];

  constructor(@Inject(TASK_QUEUE_OPTIONS) options: TaskQueueModuleOptions, discovery: DiscoveryService) {
    const classes = new Set(
      options.adoptNestSchedule === true
        ? discovery
            .getProviders()
            .filter((wrapper) => !wrapper.isAlias)
            .map(classOf)
        : [],
    );
    this.entries = [...classes].flatMap((taskClass) =>
      typeof taskClass === 'function' ? adoptMethods(taskClass) : [],
    );
  }
}
