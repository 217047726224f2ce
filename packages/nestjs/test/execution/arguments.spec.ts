import type { ExecutionContext, PipeTransform } from '@nestjs/common';
import { Body, createParamDecorator, Injectable, UsePipes, ValidationPipe } from '@nestjs/common';
import type { TaskContext } from '@taskqueue/core';
import { TaskRegistry, TaskSender } from '@taskqueue/core';
import { IsEmail, IsInt, Min } from 'class-validator';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SharedTask, Task, TaskHeader, taskContextOf, TaskQueueRuntime } from '../../src/index.js';
import { applications } from '../application-under-test.js';

const boot = applications(afterEach);

class Letter {
  @IsEmail()
  to!: string;
  @IsInt()
  @Min(1)
  copies!: number;
}

const Order = z.object({ id: z.number().int(), note: z.string().default('none') });

const Doubled: PipeTransform = { transform: (value: unknown) => (typeof value === 'number' ? value * 2 : value) };
const Attempt = createParamDecorator((_: unknown, host: ExecutionContext) => taskContextOf(host).attempt);

@Injectable()
class Tasks {
  @SharedTask()
  @UsePipes(new ValidationPipe({ transform: true }))
  async piped(letter: Letter): Promise<string> {
    return `${letter.constructor.name} ${letter.to}`;
  }

  @SharedTask({ schema: Letter })
  async dto(letter: Letter): Promise<string> {
    return `${letter.constructor.name} ${letter.to}`;
  }

  @SharedTask({ schema: Order })
  async order(order: z.output<typeof Order>): Promise<string> {
    return `${order.id} ${order.note}`;
  }

  @SharedTask({ schema: [z.number(), z.string().optional()] })
  async tuple(a: number, b?: string): Promise<unknown[]> {
    return [a, b ?? 'nothing'];
  }

  @SharedTask({ params: ['a', 'b', 'c'] })
  async defaults(a: number, b = 10, c?: string): Promise<unknown[]> {
    return [a, b, c ?? 'no c'];
  }

  @SharedTask()
  async none(): Promise<string> {
    return 'none';
  }

  @SharedTask()
  async decorated(
    @TaskHeader('tenant') tenant: string,
    a: number,
    @Attempt(Doubled) attempt: number,
    b: number,
    @TaskHeader() headers: Record<string, unknown>,
    @Task() task: TaskContext,
  ): Promise<unknown[]> {
    return [tenant, a, attempt, b, headers, task.name];
  }
}

describe('arguments', () => {
  it('takes optional and default parameters, by position and by keyword', async () => {
    const one = await boot({ providers: [Tasks] });
    expect((await one.run('Tasks.defaults', [1])).value).toEqual([1, 10, 'no c']);
    expect((await one.run('Tasks.defaults', [1, 2, 'c'])).value).toEqual([1, 2, 'c']);
    expect((await one.run('Tasks.defaults', [1], { kwargs: { c: 'kw' } })).value).toEqual([1, 10, 'kw']);
    expect((await one.run('Tasks.defaults', [], { kwargs: { b: 5, a: 4 } })).value).toEqual([4, 5, 'no c']);
  });

  it.each([
    ['Tasks.none', [1], {}, /Tasks\.none takes 0 arguments and got 1.*immutable signature/],
    ['Tasks.defaults', [1, 2, '3', 4], {}, /takes 3 arguments and got 4/],
    ['Tasks.defaults', [1], { kwargs: { d: 1 } }, /has no parameter "d"/],
    ['Tasks.defaults', [1], { kwargs: { a: 1 } }, /got parameter "a" twice/],
    ['Tasks.none', [], { kwargs: { a: 1 } }, /Declare the names with `params/],
  ])('rejects what would be lost: %s %j %j', async (task, args, options, message) => {
    const one = await boot({ providers: [Tasks] });
    const record = await one.run(task, args, options);
    expect(record.state).toBe('REJECTED');
    expect(record.failure).toMatchObject({
      code: 'TASK_ARGUMENTS_INVALID',
      message: expect.stringMatching(message) as string,
    });
  });

  it('fills decorated parameters from the run, and the others with the arguments in order', async () => {
    const one = await boot({ providers: [Tasks] });
    const { value } = await one.run('Tasks.decorated', ['a', 'b'], { headers: { tenant: 't1' } });
    expect(value).toEqual(['t1', 'a', 2, 'b', { tenant: 't1' }, 'Tasks.decorated']);
  });

  it('refuses decorators that mean an HTTP request', async () => {
    class Confused {
      @SharedTask()
      async run(@Body() body: unknown): Promise<unknown> {
        return body;
      }
    }
    await expect(boot({ providers: [Confused] })).rejects.toThrow(/Confused\.run parameter 0: expected no decorator/);
  });
});

describe('validation', () => {
  it('checks a DTO by a ValidationPipe at the run, and names the fields', async () => {
    const one = await boot({ providers: [Tasks] });
    expect((await one.run('Tasks.piped', [{ to: 'a@example.org', copies: 1 }])).value).toBe('Letter a@example.org');
    const record = await one.run('Tasks.piped', [{ to: 'nobody', copies: 0 }]);
    expect(record.state).toBe('REJECTED');
    expect(record.failure).toMatchObject({
      code: 'TASK_ARGUMENTS_INVALID',
      message: 'to must be an email; copies must not be less than 1',
    });
    expect(record.attempts).toBe(1);
  });

  it.each([
    ['Tasks.dto', [{ to: 'nobody', copies: 1 }], 'args[0].to'],
    ['Tasks.dto', [{ to: 'a@example.org', copies: 1, bcc: 'x' }], 'args[0].bcc'],
    ['Tasks.order', [{ id: 'x' }], 'args[0].id'],
    ['Tasks.tuple', [1, 2], 'args[1]'],
  ])('checks a schema at the call: %s %j', async (task, args, field) => {
    const one = await boot({ providers: [Tasks] });
    await expect(one.client.sendTask(task, args)).rejects.toMatchObject({
      code: 'TASK_ARGUMENTS_INVALID',
      fields: { field },
    });
    expect(one.queue.enqueued()).toEqual([]);
  });

  it('gives the handler what the schema makes of the arguments', async () => {
    const one = await boot({ providers: [Tasks] });
    expect((await one.run('Tasks.dto', [{ to: 'a@example.org', copies: 1 }])).value).toBe('Letter a@example.org');
    expect((await one.run('Tasks.order', [{ id: 3 }])).value).toBe('3 none');
    expect((await one.run('Tasks.tuple', [1])).value).toEqual([1, 'nothing']);
    expect(one.queue.enqueued()[1]?.args).toEqual([{ id: 3 }]);
  });

  it('checks a schema again at the run, for callers that do not know it', async () => {
    const one = await boot({ providers: [Tasks] });
    const { stores, settings, clock } = one.app.get(TaskQueueRuntime);
    const stranger = new TaskSender({ stores, settings, clock, registry: new TaskRegistry() });
    const record = await one.ended(await stranger.sendTask('Tasks.order', [{ id: 'x' }]));
    expect(record).toMatchObject({ state: 'REJECTED', attempts: 1, failure: { code: 'TASK_ARGUMENTS_INVALID' } });
    expect(record.failure?.message).toContain('args[0].id');
    expect((await one.ended(await stranger.sendTask('Tasks.order', [{ id: 5 }]))).value).toBe('5 none');
  });
});
