import type { OnModuleInit } from '@nestjs/common';
import { Injectable, Module } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { ConfigurationProblem, ScheduleEntry } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';
import { classOf } from '../execution/nest-internals.js';
import { TASK_QUEUE_OPTIONS } from '../task-queue.constants.js';
import type { TaskQueueModuleOptions } from '../task-queue.module-options.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import type { AdoptedEntry } from './adopted-schedule.js';
import { adoptMethods, hasNestSchedule, returnMethods } from './adopted-schedule.js';

/**
 * Takes `@Cron`, `@Interval` and `@Timeout` methods over from `@nestjs/schedule`, whose explorer looks for them in its
 * `onModuleInit`. Nest runs these hooks from the farthest module to the nearest, so this one is made the farthest: then
 * all providers exist, also those of factories, and nobody has looked yet.
 */
@Injectable()
export class NestScheduleAdoption implements OnModuleInit {
  private adopted: readonly AdoptedEntry[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly moduleRef: ModuleRef,
    modules: ModulesContainer,
  ) {
    for (const module of modules.values()) {
      if (module.providers.has(NestScheduleAdoption)) module.distance = Number.POSITIVE_INFINITY;
    }
  }

  onModuleInit(): void {
    const options: TaskQueueModuleOptions = this.moduleRef.get(TASK_QUEUE_OPTIONS, { strict: false });
    const providers = this.discovery.getProviders().filter((wrapper) => !wrapper.isAlias);
    const classes = new Set(providers.map(classOf).filter((taskClass) => taskClass !== undefined));
    if (options.adoptNestSchedule !== true) {
      for (const taskClass of classes) returnMethods(taskClass);
      return;
    }
    const { clock } = this.moduleRef.get(TaskQueueRuntime, { strict: false });
    const problems = this.scheduledControllers();
    this.adopted = [...classes].flatMap((taskClass) => {
      try {
        return adoptMethods(taskClass, clock.now());
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        problems.push(...error.problems);
        return [];
      }
    });
    if (problems.length > 0) throw new ConfigurationError(problems);
  }

  get entries(): readonly ScheduleEntry[] {
    return this.adopted.map(({ entry }) => entry);
  }

  /** Names of the entries whose instant is the store's, once it has one. */
  get onceOnly(): ReadonlySet<string> {
    return new Set(this.adopted.filter(({ once }) => once).map(({ entry }) => entry.name));
  }

  /** A task is a provider's method: a controller's schedule would go on firing in each replica, unseen. */
  private scheduledControllers(): ConfigurationProblem[] {
    return this.discovery.getControllers().flatMap((wrapper) => {
      const taskClass = classOf(wrapper);
      if (taskClass === undefined || !hasNestSchedule(taskClass)) return [];
      return [
        {
          path: `controller ${taskClass.name}`,
          expected: 'no @Cron, @Interval or @Timeout, which cannot be adopted from controllers',
          value: taskClass.name,
          remedy: 'Move the method to a provider.',
        },
      ];
    });
  }
}

/** A module of its own, so that its hook can come first while those of the task queue come last. */
@Module({ imports: [DiscoveryModule], providers: [NestScheduleAdoption], exports: [NestScheduleAdoption] })
export class NestScheduleAdoptionModule {}
