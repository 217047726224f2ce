import { Body, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse } from '@nestjs/swagger';
import { IdPipe } from '../../http/id.pipe.js';
import { PageQuery } from '../../http/page.js';
import { AdminController } from '../admin-controller.decorator.js';
import { CLOCKED } from './schedule-kinds.js';
import { ClockedDto, ClockedPatch } from './schedule.dto.js';
import { ClockedPage, ClockedView } from './schedule.view.js';
import { SchedulesService } from './schedules.service.js';

@AdminController('clocked-schedules')
export class ClockedSchedulesController {
  constructor(private readonly schedules: SchedulesService) {}

  @Get()
  @ApiOkResponse({ type: ClockedPage })
  async list(@Query() query: PageQuery): Promise<ClockedPage> {
    return this.schedules.list(CLOCKED, query);
  }

  @Get(':id')
  @ApiOkResponse({ type: ClockedView })
  async show(@Param('id', IdPipe) id: number): Promise<ClockedView> {
    return this.schedules.show(CLOCKED, id);
  }

  @Post()
  @ApiCreatedResponse({ type: ClockedView })
  async create(@Body() dto: ClockedDto): Promise<ClockedView> {
    return this.schedules.create(CLOCKED, dto);
  }

  @Patch(':id')
  @ApiOkResponse({ type: ClockedView })
  async update(@Param('id', IdPipe) id: number, @Body() patch: ClockedPatch): Promise<ClockedView> {
    return this.schedules.update(CLOCKED, id, patch);
  }

  /** 409 while a periodic task uses it. */
  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  async remove(@Param('id', IdPipe) id: number): Promise<void> {
    await this.schedules.remove(CLOCKED, id);
  }
}
