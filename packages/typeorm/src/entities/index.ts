import { BarrierEntity } from './barrier-entity.js';
import { BarrierMemberEntity } from './barrier-member-entity.js';
import { ClockedSchedule } from './clocked-schedule.js';
import { ConsumerEntity } from './consumer-entity.js';
import { CrontabSchedule } from './crontab-schedule.js';
import { GroupResult } from './group-result.js';
import { IntervalSchedule } from './interval-schedule.js';
import { LockEntity } from './lock-entity.js';
import { PeriodicTask } from './periodic-task.js';
import { QueueEntity } from './queue-entity.js';
import { RevokedTask } from './revoked-task.js';
import { ScheduleChange } from './schedule-change.js';
import { SolarSchedule } from './solar-schedule.js';
import { TaskMessageEntity } from './task-message-entity.js';
import { TaskResult } from './task-result.js';

/**
 * Our entities, for the `entities` of a data source through which an application reads results or edits schedules.
 * TypeORM's schema synchronization leaves their tables alone; migrations make them.
 */
export const TASK_QUEUE_ENTITIES = [
  TaskMessageEntity,
  TaskResult,
  GroupResult,
  IntervalSchedule,
  CrontabSchedule,
  ClockedSchedule,
  SolarSchedule,
  PeriodicTask,
  ScheduleChange,
  RevokedTask,
  ConsumerEntity,
  QueueEntity,
  LockEntity,
  BarrierEntity,
  BarrierMemberEntity,
];

export {
  BarrierEntity,
  BarrierMemberEntity,
  ClockedSchedule,
  ConsumerEntity,
  CrontabSchedule,
  GroupResult,
  IntervalSchedule,
  LockEntity,
  PeriodicTask,
  QueueEntity,
  RevokedTask,
  ScheduleChange,
  SolarSchedule,
  TaskMessageEntity,
  TaskResult,
};
