import { Body, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse } from '@nestjs/swagger';
import { IdPipe } from '../../http/id.pipe.js';
import { PageQuery } from '../../http/page.js';
import { AdminController } from '../admin-controller.decorator.js';
import { INTERVAL } from './schedule-kinds.js';
import { IntervalDto, IntervalPatch } from './schedule.dto.js';
import { IntervalPage, IntervalView } from './schedule.view.js';
import { SchedulesService } from './schedules.service.js';

@AdminController('interval-schedules')
export class IntervalSchedulesController {
  constructor(private readonly schedules: SchedulesService) {}

  @Get()
  @ApiOkResponse({ type: IntervalPage })
  async list(@Query() query: PageQuery): Promise<IntervalPage> {
    return this.schedules.list(INTERVAL, query);
  }

  @Get(':id')
  @ApiOkResponse({ type: IntervalView })
  async show(@Param('id', IdPipe) id: number): Promise<IntervalView> {
    return this.schedules.show(INTERVAL, id);
  }

  @Post()
  @ApiCreatedResponse({ type: IntervalView })
  async create(@Body() dto: IntervalDto): Promise<IntervalView> {
    return this.schedules.create(INTERVAL, dto);
  }

  @Patch(':id')
  @ApiOkResponse({ type: IntervalView })
  async update(@Param('id', IdPipe) id: number, @Body() patch: IntervalPatch): Promise<IntervalView> {
    return this.schedules.update(INTERVAL, id, patch);
  }

  /** 409 while a periodic task uses it. */
  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  async remove(@Param('id', IdPipe) id: number): Promise<void> {
    await this.schedules.remove(INTERVAL, id);
  }
}
