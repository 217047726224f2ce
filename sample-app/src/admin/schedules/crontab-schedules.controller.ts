import { Body, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse } from '@nestjs/swagger';
import { IdPipe } from '../../http/id.pipe.js';
import { PageQuery } from '../../http/page.js';
import { AdminController } from '../admin-controller.decorator.js';
import { CRONTAB } from './schedule-kinds.js';
import { CrontabDto, CrontabPatch } from './schedule.dto.js';
import { CrontabPage, CrontabView } from './schedule.view.js';
import { SchedulesService } from './schedules.service.js';

@AdminController('crontab-schedules')
export class CrontabSchedulesController {
  constructor(private readonly schedules: SchedulesService) {}

  @Get()
  @ApiOkResponse({ type: CrontabPage })
  async list(@Query() query: PageQuery): Promise<CrontabPage> {
    return this.schedules.list(CRONTAB, query);
  }

  @Get(':id')
  @ApiOkResponse({ type: CrontabView })
  async show(@Param('id', IdPipe) id: number): Promise<CrontabView> {
    return this.schedules.show(CRONTAB, id);
  }

  @Post()
  @ApiCreatedResponse({ type: CrontabView })
  async create(@Body() dto: CrontabDto): Promise<CrontabView> {
    return this.schedules.create(CRONTAB, dto);
  }

  @Patch(':id')
  @ApiOkResponse({ type: CrontabView })
  async update(@Param('id', IdPipe) id: number, @Body() patch: CrontabPatch): Promise<CrontabView> {
    return this.schedules.update(CRONTAB, id, patch);
  }

  /** 409 while a periodic task uses it. */
  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  async remove(@Param('id', IdPipe) id: number): Promise<void> {
    await this.schedules.remove(CRONTAB, id);
  }
}
