import { Module } from '@nestjs/common';
import { TaskLister } from './task-lister.js';
import { TasksController } from './tasks.controller.js';

@Module({ controllers: [TasksController], providers: [TaskLister], exports: [TaskLister] })
export class TasksModule {}
