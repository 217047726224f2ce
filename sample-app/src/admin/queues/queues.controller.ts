import { Get, HttpCode, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty } from '@nestjs/swagger';
import type { QueueFacts, QueueInspector } from '@taskqueue/core';
import { TaskQueueRuntime } from '@taskqueue/nestjs';
import { Page, PageQuery, rowsOf } from '../../http/page.js';
import { AdminController } from '../admin-controller.decorator.js';

class QueueView implements Omit<QueueFacts, 'delayed' | 'leased' | 'oldestReadyMs'> {
  @ApiProperty()
  name: string;
  @ApiProperty({ description: 'Accepts tasks and hands none out' })
  paused: boolean;
  @ApiProperty({ description: 'Wait for a worker' })
  ready: number;
  @ApiProperty({ type: Number, nullable: true, description: 'Wait for their time; null where the broker cannot tell' })
  delayed: number | null;
  @ApiProperty({ type: Number, nullable: true, description: 'With a worker; null where the broker cannot tell' })
  leased: number | null;
  @ApiProperty({ description: 'Given up' })
  dead: number;
  @ApiProperty({ type: Number, nullable: true, description: 'Age of the oldest ready task' })
  oldestReadyMs: number | null;
}

class QueuePage extends Page {
  @ApiProperty({ type: [QueueView] })
  items: QueueView[];
}

class Purged {
  @ApiProperty({ description: 'Tasks that were deleted' })
  purged: number;
}

@AdminController('queues')
export class QueuesController {
  constructor(private readonly queue: TaskQueueRuntime) {}

  @Get()
  @ApiOkResponse({ type: QueuePage })
  async list(@Query() query: PageQuery): Promise<QueuePage> {
    const { page, limit, skip, take } = rowsOf(query);
    const queues = await this.inspector.queues();
    return { items: queues.slice(skip, skip + take).map(viewOf), page, limit, total: queues.length };
  }

  @Get(':name')
  @ApiOkResponse({ type: QueueView })
  async show(@Param('name') name: string): Promise<QueueView> {
    const facts = (await this.inspector.queues()).find((queue) => queue.name === name);
    if (facts === undefined) throw new NotFoundException(`No queue is named ${name}.`);
    return viewOf(facts);
  }

  @ApiOperation({ summary: 'Workers take nothing from it until it is resumed; it goes on accepting tasks' })
  @Post(':name/pause')
  @HttpCode(200)
  @ApiOkResponse({ type: QueueView })
  async pause(@Param('name') name: string): Promise<QueueView> {
    await this.show(name);
    await this.inspector.pause(name);
    return this.show(name);
  }

  @Post(':name/resume')
  @HttpCode(200)
  @ApiOkResponse({ type: QueueView })
  async resume(@Param('name') name: string): Promise<QueueView> {
    await this.show(name);
    await this.inspector.resume(name);
    return this.show(name);
  }

  @ApiOperation({ summary: 'Delete what waits in it; what runs goes on' })
  @Post(':name/purge')
  @HttpCode(200)
  @ApiOkResponse({ type: Purged })
  async purge(@Param('name') name: string): Promise<Purged> {
    await this.show(name);
    return { purged: await this.inspector.purge(name) };
  }

  private get inspector(): QueueInspector {
    const { inspector } = this.queue.stores;
    if (inspector === undefined) throw new NotFoundException('The broker cannot be inspected.');
    return inspector;
  }
}

function viewOf(facts: QueueFacts): QueueView {
  const { delayed = null, leased = null, oldestReadyMs = null } = facts;
  return { ...facts, delayed, leased, oldestReadyMs };
}
