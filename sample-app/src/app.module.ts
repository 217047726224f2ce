import { Module } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import { TaskQueueModule } from '@taskqueue/nestjs';
import { typeormDriver } from '@taskqueue/typeorm';
import type { DataSource } from 'typeorm';
import { DatabaseModule } from './database/database.module.js';
import { ImagesModule } from './images/images.module.js';
import { MailModule } from './mail/mail.module.js';
import { PlaygroundModule } from './playground/playground.module.js';
import { ReportsModule } from './reports/reports.module.js';
import { settings } from './settings.js';
import { TasksModule } from './tasks/tasks.module.js';

/**
 * What API, worker and beat have in common: the database, the queue, and the feature modules with their tasks. The
 * queue lives in the application's own database, so that a task can be enqueued in the transaction that needs it, unless
 * BROKER_URL and RESULT_BACKEND_URL say otherwise; the schedules stay in it, where the admin API edits them.
 */
@Module({
  imports: [
    DatabaseModule,
    TaskQueueModule.forRootAsync({
      inject: [getDataSourceToken()],
      useFactory: (dataSource: DataSource) => ({
        driver: typeormDriver({ dataSource }),
        ...(settings.brokerUrl === undefined ? {} : { broker: settings.brokerUrl }),
        ...(settings.resultBackendUrl === undefined ? {} : { results: settings.resultBackendUrl }),
        worker: { trackStarted: true },
      }),
    }),
    PlaygroundModule,
    MailModule,
    ImagesModule,
    ReportsModule,
    TasksModule,
  ],
})
export class AppModule {}
