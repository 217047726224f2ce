export { createDriver, typeormDriver } from './typeorm-driver.js';
export type { TypeormDriverOptions } from './driver-options.js';
export { ensureSchema } from './ensure-schema.js';
export { TASK_QUEUE_MIGRATIONS } from './migrations/index.js';
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
  TASK_QUEUE_ENTITIES,
  TaskMessageEntity,
  TaskResult,
} from './entities/index.js';
export type { IntervalPeriod } from './sql/schedule-row.js';
export { SQLITE_LIBRARIES, sqliteDriver } from './sqlite/sqlite-driver.js';
export type {
  SqliteDatabase,
  SqliteDriver,
  SqliteLibrary,
  SqliteOpenOptions,
  SqliteStatement,
} from './sqlite/sqlite-driver.js';
