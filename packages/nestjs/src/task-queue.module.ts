import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import type { ConfigurableModuleAsyncOptions, DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ControlBus, EventReceiver, TaskClient } from '@taskqueue/core';
import { EventExplorer } from './discovery/event.explorer.js';
import { TaskExplorer } from './discovery/task.explorer.js';
import { TaskQueueHealth } from './health/task-queue.health.js';
import { TaskQueueLifecycle } from './lifecycle/task-queue.lifecycle.js';
import { BeatTimers } from './scheduling/beat-timers.js';
import { NestScheduleAdoptionModule } from './scheduling/nest-schedule-adoption.js';
import { TASK_QUEUE_OPTIONS } from './task-queue.constants.js';
import type { TaskQueueModuleOptions } from './task-queue.module-options.js';
import { TaskQueueRuntime } from './task-queue.runtime.js';

/** Static extras: known before any factory runs. */
export interface TaskQueueModuleExtras {
  /** Make `TaskClient` injectable everywhere. Default true. */
  readonly isGlobal?: boolean;
}

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<TaskQueueModuleOptions>({
  moduleName: 'TaskQueue',
  optionsInjectionToken: TASK_QUEUE_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras<TaskQueueModuleExtras>({ isGlobal: true }, (definition, extras) => ({
    ...definition,
    global: extras.isGlobal ?? true,
  }))
  .build();

/**
 * The task queue of an application. Import it once, in the root module:
 *
 * ```ts
 * @Module({ imports: [TaskQueueModule.forRoot({ driver: 'redis://localhost:6379/1' })], providers: [MailTasks] })
 * export class AppModule {}
 * ```
 *
 * Tasks are found in the providers of every module; `TaskClient` can be injected everywhere.
 */
@Module({
  imports: [DiscoveryModule, NestScheduleAdoptionModule],
  providers: [
    TaskExplorer,
    EventExplorer,
    BeatTimers,
    TaskQueueLifecycle,
    TaskQueueHealth,
    {
      provide: TaskQueueRuntime,
      inject: [TASK_QUEUE_OPTIONS],
      useFactory: (options: TaskQueueModuleOptions) => TaskQueueRuntime.create(options),
    },
    { provide: TaskClient, inject: [TaskQueueRuntime], useFactory: (runtime: TaskQueueRuntime) => runtime.client },
    {
      provide: ControlBus,
      inject: [TaskQueueRuntime],
      useFactory: (runtime: TaskQueueRuntime) => runtime.createControlBus(),
    },
    {
      provide: EventReceiver,
      inject: [TaskQueueRuntime],
      useFactory: (runtime: TaskQueueRuntime) => runtime.createEventReceiver(),
    },
  ],
  exports: [TaskClient, ControlBus, EventReceiver, TaskQueueRuntime, TaskQueueHealth],
})
export class TaskQueueModule extends ConfigurableModuleClass {
  static override forRoot(options: TaskQueueModuleOptions & TaskQueueModuleExtras = {}): DynamicModule {
    return super.forRoot(options);
  }

  static override forRootAsync(
    options: ConfigurableModuleAsyncOptions<TaskQueueModuleOptions> & TaskQueueModuleExtras,
  ): DynamicModule {
    return super.forRootAsync(options);
  }
}
