import { setTimeout as sleep } from 'node:timers/promises';
import { Body, Controller, HttpCode, Injectable, Module, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import type { TaskContext } from '@taskqueue/nestjs';
import { Every, SharedTask, Task, TaskClient, TaskHost } from '@taskqueue/nestjs';
import { z } from 'zod';
import { Text } from '../http/field.decorators.js';
import { TaskAccepted } from '../tasks/task-accepted.dto.js';

class HelloDto {
  @ApiProperty({ example: 'We are open again!' })
  @Text(1, 1_000)
  message: string;
}

/** The classic: ten seconds of work that no request should wait for. */
@Injectable()
@TaskHost({ name: 'playground' })
export class PlaygroundTasks {
  @SharedTask({ schema: z.string().min(1).max(1_000), params: ['message'], softTimeLimit: '1m' })
  async notifyCustomers(message: string, @Task() task: TaskContext): Promise<{ notified: number; message: string }> {
    const customers = 10;
    for (let done = 1; done <= customers; done += 1) {
      await sleep(1_000, undefined, { signal: task.signal });
      await task.progress({ done, of: customers });
    }
    return { notified: customers, message };
  }

  /** Runs every few seconds, so that work is seen at once. */
  @SharedTask({ resultExpires: '10m' })
  @Every('2s', { description: 'So that something is seen to happen', misfire: 'skip' })
  async heartbeat(): Promise<string> {
    return `alive at ${new Date().toISOString()}`;
  }
}

@ApiTags('storefront')
@Controller('playground')
export class PlaygroundController {
  constructor(private readonly tasks: TaskClient) {}

  @ApiOperation({ summary: 'Notify customers: ten seconds of work, answered at once' })
  @Post('hello')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: TaskAccepted })
  async hello(@Body() { message }: HelloDto): Promise<TaskAccepted> {
    const handle = await this.tasks.for(PlaygroundTasks).notifyCustomers.delay(message);
    return { taskId: handle.id };
  }
}

@Module({ controllers: [PlaygroundController], providers: [PlaygroundTasks] })
export class PlaygroundModule {}
