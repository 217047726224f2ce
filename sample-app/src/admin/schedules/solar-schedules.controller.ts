import { Body, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse } from '@nestjs/swagger';
import { IdPipe } from '../../http/id.pipe.js';
import { PageQuery } from '../../http/page.js';
import { AdminController } from '../admin-controller.decorator.js';
import { SOLAR } from './schedule-kinds.js';
import { SolarDto, SolarPatch } from './schedule.dto.js';
import { SolarPage, SolarView } from './schedule.view.js';
import { SchedulesService } from './schedules.service.js';

@AdminController('solar-schedules')
export class SolarSchedulesController {
  constructor(private readonly schedules: SchedulesService) {}

  @Get()
  @ApiOkResponse({ type: SolarPage })
  async list(@Query() query: PageQuery): Promise<SolarPage> {
    return this.schedules.list(SOLAR, query);
  }

  @Get(':id')
  @ApiOkResponse({ type: SolarView })
  async show(@Param('id', IdPipe) id: number): Promise<SolarView> {
    return this.schedules.show(SOLAR, id);
  }

  @Post()
  @ApiCreatedResponse({ type: SolarView })
  async create(@Body() dto: SolarDto): Promise<SolarView> {
    return this.schedules.create(SOLAR, dto);
  }

  @Patch(':id')
  @ApiOkResponse({ type: SolarView })
  async update(@Param('id', IdPipe) id: number, @Body() patch: SolarPatch): Promise<SolarView> {
    return this.schedules.update(SOLAR, id, patch);
  }

  /** 409 while a periodic task uses it. */
  @Delete(':id')
  @HttpCode(204)
  @ApiNoContentResponse()
  async remove(@Param('id', IdPipe) id: number): Promise<void> {
    await this.schedules.remove(SOLAR, id);
  }
}
