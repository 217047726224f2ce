export { TaskQueueModule } from './task-queue.module.js';
export type { TaskQueueModuleExtras } from './task-queue.module.js';
export type { DriverOrUrl, TaskQueueModuleOptions } from './task-queue.module-options.js';
export { TaskQueueRuntime } from './task-queue.runtime.js';
export { SharedTask, TaskHost } from './decorators/shared-task.decorator.js';
export type { TaskHostOptions } from './decorators/shared-task.decorator.js';
export { Task, TaskHeader } from './decorators/task-params.decorator.js';
export { Clocked, Crontab, Every, Solar } from './decorators/schedule.decorator.js';
export type { CrontabFields, ScheduleDecoratorOptions } from './decorators/schedule.decorator.js';
export { OnBeatEvent, OnTaskEvent, OnWorkerEvent } from './decorators/on-event.decorator.js';
export type { EventScope, OnEventOptions } from './decorators/on-event.decorator.js';
export type { ProcessEvent, ProcessEventOf, ProcessEventType } from './events/process-event.js';
export { isTaskHost, taskArgumentsOf, taskContextOf } from './execution/task-execution.context.js';
export type { Enhancers } from './execution/task-pipeline.js';
export { TaskQueueHealth } from './health/task-queue.health.js';
export type { TaskQueueHealthResult } from './health/task-queue.health.js';
export { TaskQueueLifecycle } from './lifecycle/task-queue.lifecycle.js';
export { runWorker } from './lifecycle/run-worker.js';
export type { RunWorkerOptions } from './lifecycle/run-worker.js';
export { runBeat } from './lifecycle/run-beat.js';
export {
  ControlBus,
  EventReceiver,
  Ignore,
  isTaskQueueError,
  isTerminal,
  memoryDriver,
  Reject,
  Retry,
  Signature,
  Snooze,
  TaskClient,
  TaskError,
  TaskHandle,
  TaskQueueError,
  UsageError,
} from '@taskqueue/core';
export type {
  ApplyOptions,
  CallOptions,
  ClusterEvent,
  ClusterEventOf,
  ClusterEventType,
  CommandTarget,
  Driver,
  Duration,
  ErrorCode,
  FailureRecord,
  ResultRecord,
  RetryOptions,
  ScheduleEntryInit,
  TaskContext,
  TaskOptions,
  TaskQueueSettings,
  TaskState,
} from '@taskqueue/core';
