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

/** Sends without knowing the tasks, as another service does. */
function stranger(one: Awaited<ReturnType<typeof boot>>): TaskSender {
  const { stores, settings, clock } = one.app.get(TaskQueueRuntime);
  return new TaskSender({ stores, settings, clock, registry: new TaskRegistry() });
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
    ['Tasks.none', [1], {}, 'args', /"Tasks\.none" takes 0 arguments and got 1.*immutable signature/],
    ['Tasks.defaults', [1, 2, '3', 4], {}, 'args', /takes 3 arguments and got 4/],
    ['Tasks.decorated', [1, 2, 3], {}, 'args', /takes 2 arguments and got 3/],
    ['Tasks.defaults', [1], { d: 1 }, 'kwargs.d', /has no parameter "d"/],
    ['Tasks.defaults', [1], { a: 1 }, 'kwargs.a', /got parameter "a" twice/],
    ['Tasks.none', [], { a: 1 }, 'kwargs.a', /Declare the names with `params/],
  ])('refuses what would be lost, at the call and at the run: %s %j %j', async (task, args, kwargs, field, text) => {
    const one = await boot({ providers: [Tasks] });
    const expected = { code: 'TASK_ARGUMENTS_INVALID', message: expect.stringMatching(text) as string };
    await expect(one.client.sendTask(task, args, kwargs)).rejects.toMatchObject({ ...expected, fields: { field } });
    expect(one.queue.enqueued()).toEqual([]);
    const record = await one.ended(await stranger(one).sendTask(task, args, kwargs));
    expect(record).toMatchObject({ state: 'REJECTED', attempts: 1, failure: expected });
  });

  it('refuses them at the typed call, too', async () => {
    const one = await boot({ providers: [Tasks] });
    const { none } = one.client.for(Tasks);
    await expect((none.delay as (...args: unknown[]) => Promise<unknown>)(1)).rejects.toMatchObject({
      code: 'TASK_ARGUMENTS_INVALID',
      fields: { field: 'args' },
    });
  });

  it('fills decorated parameters from the run, and the others with the arguments in order', async () => {
    const one = await boot({ providers: [Tasks] });
    const { value } = await one.run('Tasks.decorated', ['a', 'b'], { headers: { tenant: 't1' } });
    expect(value).toEqual(['t1', 'a', 2, 'b', { tenant: 't1' }, 'Tasks.decorated']);
  });

  it('refuses generators, of which nothing would run', async () => {
    @Injectable()
    class Lazy {
      @SharedTask()
      *lines(): Generator<number> {
        yield 1;
      }

      @SharedTask()
      async *pages(): AsyncGenerator<number> {
        yield 1;
      }
    }
    await expect(boot({ providers: [Lazy] })).rejects.toThrow(/lines.*no generator[\s\S]*pages.*no generator/);
  });

  it('refuses an override that would run under the parameter decorators of what it overrides', async () => {
    class Base {
      async run(@Task() context: TaskContext, name: string): Promise<string> {
        return `${context.id} ${name}`;
      }
    }
    @Injectable()
    class Override extends Base {
      @SharedTask()
      override async run(name: unknown, suffix: string): Promise<string> {
        return `${String(name)} ${suffix}`;
      }
    }
    await expect(boot({ providers: [Override] })).rejects.toThrow(
      /Override\.run: expected parameter decorators of its own/,
    );
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
    const sender = stranger(one);
    const record = await one.ended(await sender.sendTask('Tasks.order', [{ id: 'x' }]));
    expect(record).toMatchObject({ state: 'REJECTED', attempts: 1, failure: { code: 'TASK_ARGUMENTS_INVALID' } });
    expect(record.failure?.message).toContain('args[0].id');
    expect((await one.ended(await sender.sendTask('Tasks.order', [{ id: 5 }]))).value).toBe('5 none');
  });
});
