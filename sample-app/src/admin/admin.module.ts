import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PeriodicTask } from '@taskqueue/typeorm';
import { TasksModule } from '../tasks/tasks.module.js';
import { CallCheck } from './periodic-tasks/call-check.js';
import { PeriodicTasksController } from './periodic-tasks/periodic-tasks.controller.js';
import { PeriodicTasksService } from './periodic-tasks/periodic-tasks.service.js';
import { ScheduleReferencer } from './periodic-tasks/schedule-choice.js';
import { QueuesController } from './queues/queues.controller.js';
import { ClockedSchedulesController } from './schedules/clocked-schedules.controller.js';
import { CrontabSchedulesController } from './schedules/crontab-schedules.controller.js';
import { IntervalSchedulesController } from './schedules/interval-schedules.controller.js';
import { SchedulesService } from './schedules/schedules.service.js';
import { SolarSchedulesController } from './schedules/solar-schedules.controller.js';
import { TaskResultsController } from './task-results/task-results.controller.js';
import { RegisteredTasksController } from './tasks/registered-tasks.controller.js';

/** The REST API for operators: schedules, results, queues, registered tasks. */
@Module({
  imports: [TypeOrmModule.forFeature([PeriodicTask]), TasksModule],
  controllers: [
    PeriodicTasksController,
    CrontabSchedulesController,
    IntervalSchedulesController,
    ClockedSchedulesController,
    SolarSchedulesController,
    TaskResultsController,
    QueuesController,
    RegisteredTasksController,
  ],
  providers: [PeriodicTasksService, SchedulesService, ScheduleReferencer, CallCheck],
})
export class AdminModule {}
