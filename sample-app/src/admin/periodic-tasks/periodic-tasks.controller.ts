import { Body, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
} from '@nestjs/swagger';
import { IdPipe } from '../../http/id.pipe.js';
import { TaskAccepted } from '../../tasks/task-accepted.dto.js';
import { AdminController } from '../admin-controller.decorator.js';
import { PeriodicTaskDto, PeriodicTaskPatch, PeriodicTaskQuery } from './periodic-task.dto.js';
import { PeriodicTaskPage, PeriodicTaskView } from './periodic-task.view.js';
import { PeriodicTasksService } from './periodic-tasks.service.js';

@AdminController('periodic-tasks')
export class PeriodicTasksController {
  constructor(private readonly periodicTasks: PeriodicTasksService) {}

  @Get()
  @ApiOkResponse({ type: PeriodicTaskPage })
  async list(@Query() query: PeriodicTaskQuery): Promise<PeriodicTaskPage> {
    return this.periodicTasks.list(query);
  }

  @Get(':id')
  @ApiOkResponse({ type: PeriodicTaskView })
  async show(@Param('id', IdPipe) id: number): Promise<PeriodicTaskView> {
    return this.periodicTasks.show(id);
  }

  @ApiOperation({ summary: 'Create, with the schedule inline' })
  @Post()
  @ApiCreatedResponse({ type: PeriodicTaskView })
  async create(@Body() dto: PeriodicTaskDto): Promise<PeriodicTaskView> {
    return this.periodicTasks.create(dto);
  }

  @ApiOperation({ summary: 'Change; also switches on and off: { "enabled": false }' })
  @Patch(':id')
  @ApiOkResponse({ type: PeriodicTaskView })
  async update(@Param('id', IdPipe) id: number, @Body() patch: PeriodicTaskPatch): Promise<PeriodicTaskView> {
    return this.periodicTasks.update(id, patch);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  async remove(@Param('id', IdPipe) id: number): Promise<void> {
    await this.periodicTasks.remove(id);
  }

  @ApiOperation({ summary: 'Send its task now' })
  @Post(':id/run')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: TaskAccepted })
  async run(@Param('id', IdPipe) id: number): Promise<TaskAccepted> {
    return this.periodicTasks.run(id);
  }
}
