import { ConsoleLogger, Injectable, Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { WorkerSettings } from '@taskqueue/core';
import { memoryDriver, TaskClient } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TaskContext } from '../../src/index.js';
import { SharedTask, Task, TaskQueueModule } from '../../src/index.js';
import { TaskQueueLifecycle } from '../../src/lifecycle/task-queue.lifecycle.js';

@Injectable()
class Tasks {
  @SharedTask({ name: 'talk' })
  async talk(@Task() task: TaskContext): Promise<void> {
    task.logger.log('hello');
  }

  @SharedTask({ name: 'fail' })
  async fail(): Promise<void> {
    throw new Error('no');
  }
}

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  vi.restoreAllMocks();
});

type Line = Record<string, unknown>;

/** Lines of tasks, as Nest's logger writes them. */
async function scene(worker: Partial<WorkerSettings>, overrides?: Partial<WorkerSettings>) {
  const lines: Line[] = [];
  const write = (text: unknown): boolean => (lines.push(JSON.parse(String(text)) as Line), true);
  vi.spyOn(process.stdout, 'write').mockImplementation(write);
  vi.spyOn(process.stderr, 'write').mockImplementation(write);
  const imports = [TaskQueueModule.forRoot({ driver: memoryDriver(), worker })];
  const logger = new ConsoleLogger({ json: true, flattenParams: true, logLevels: ['log', 'error', 'warn'] });
  const app = await Test.createTestingModule({ imports, providers: [Tasks] })
    .setLogger(logger)
    .compile();
  Logger.overrideLogger(logger);
  await app.init();
  open.push(app);
  await app.get(TaskQueueLifecycle).startWorker(overrides);
  const of = (taskId: string): Line[] => lines.filter((line) => String(line['message']).includes(taskId));
  return { client: app.get(TaskClient), of };
}

describe('log fields', () => {
  it('are in the lines of a task and of its own logger', async () => {
    const { client, of } = await scene({ logFields: true });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { id } = await client.sendTask('talk', [], {}, { headers: { traceparent } });
    await eventually(() => expect(of(id)).toHaveLength(3));
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const fields = { taskId: id, task: 'talk', queue: 'default', attempt: 1, traceId, context: 'Task' };
    expect(of(id)).toEqual([
      expect.objectContaining({ ...fields, state: 'started' }),
      expect.objectContaining({ ...fields, message: `talk[${id}] hello` }),
      expect.objectContaining({ ...fields, state: 'succeeded', runtimeMs: expect.any(Number) as number }),
    ]);
  });

  it('are beside the stack of a failure', async () => {
    const { client, of } = await scene({ logFields: true });
    const { id } = await client.sendTask('fail');
    await eventually(() => expect(of(id)).toHaveLength(2));
    expect(of(id)[1]).toMatchObject({ level: 'error', taskId: id, state: 'failed', context: 'Task' });
    expect(of(id)[1]?.['stack']).toContain('Error: no');
  });

  it('are asked for by one worker', async () => {
    const { client, of } = await scene({}, { logFields: true });
    const { id } = await client.sendTask('talk');
    await eventually(() => expect(of(id)).toHaveLength(3));
    expect(of(id).filter((line) => line['taskId'] === id)).toHaveLength(3);
  });

  it('are nowhere unless they are asked for', async () => {
    const { client, of } = await scene({});
    const { id } = await client.sendTask('talk');
    await eventually(() => expect(of(id)).toHaveLength(3));
    expect(of(id).filter((line) => 'taskId' in line)).toEqual([]);
  });
});
