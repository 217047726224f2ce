import type {
  ArgumentsHost,
  CallHandler,
  CanActivate,
  ExceptionFilter,
  ExecutionContext,
  NestInterceptor,
  PipeTransform,
} from '@nestjs/common';
import {
  Catch,
  ConflictException,
  ForbiddenException,
  Injectable,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import type { TaskContext } from '@taskqueue/core';
import { Ignore, Reject, Snooze } from '@taskqueue/core';
import type { Observable } from 'rxjs';
import { concat, EMPTY, map, of, throwError } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { isTaskHost, SharedTask, Task, taskArgumentsOf, taskContextOf, UsageError } from '../../src/index.js';
import { applications } from '../application-under-test.js';

const boot = applications(afterEach);

@Injectable()
class Trace {
  readonly steps: string[] = [];
}

const Role = (role: string) => SetMetadata('role', role);

@Injectable()
class RoleGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly trace: Trace,
  ) {}
  canActivate(context: ExecutionContext): boolean {
    const role = this.reflector.getAllAndOverride<string | undefined>('role', [
      context.getHandler(),
      context.getClass(),
    ]);
    this.trace.steps.push(`guard ${context.getType<string>()} ${context.getClass().name}.${context.getHandler().name}`);
    return role === undefined || taskContextOf(context).headers['role'] === role;
  }
}

@Injectable()
class TraceInterceptor implements NestInterceptor {
  constructor(private readonly trace: Trace) {}
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    this.trace.steps.push(`before ${JSON.stringify(taskArgumentsOf(context))}`);
    return next.handle().pipe(map((value: unknown) => ({ value, attempt: taskContextOf(context).attempt })));
  }
}

@Injectable()
class TrimPipe implements PipeTransform {
  constructor(private readonly trace: Trace) {}
  transform(value: unknown): unknown {
    this.trace.steps.push('pipe');
    return typeof value === 'string' ? value.trim() : value;
  }
}

class Declined extends Error {}

@Catch(Declined)
@Injectable()
class DeclinedFilter implements ExceptionFilter {
  constructor(private readonly trace: Trace) {}
  catch(error: Declined, host: ArgumentsHost): unknown {
    this.trace.steps.push(`filter ${error.message} ${isTaskHost(host)} ${taskContextOf(host).name}`);
    if (error.message === 'rethrow') throw new Error('rethrown');
    if (error.message === 'silent') return undefined;
    return error.message === 'stream' ? of('streamed') : Promise.resolve({ handled: error.message });
  }
}

@Injectable()
@UseGuards(RoleGuard)
class Guarded {
  constructor(private readonly trace: Trace) {}

  @SharedTask()
  @Role('admin')
  @UseInterceptors(TraceInterceptor)
  @UsePipes(TrimPipe)
  async all(text: string): Promise<string> {
    this.trace.steps.push(`method ${JSON.stringify(text)}`);
    return text;
  }

  @SharedTask({ retry: { for: true, max: 3, delay: 0 } })
  @Role('admin')
  async guarded(): Promise<void> {}
}

@Injectable()
@UseFilters(DeclinedFilter)
class Filtered {
  @SharedTask({ retry: { for: [Declined], max: 0 } })
  async declines(message: string): Promise<void> {
    throw new Declined(message);
  }
  @SharedTask()
  async signals(kind: string, @Task() task: TaskContext): Promise<void> {
    if (kind === 'ignore') throw new Ignore();
    if (kind === 'snooze') throw new Snooze('1h');
    if (kind === 'retry') task.retry({ countdown: '1m' });
    throw new Reject('no');
  }
  @SharedTask()
  async fails(): Promise<void> {
    throw new TypeError('other');
  }
}

@Injectable()
class Streams {
  @SharedTask()
  last(): Observable<number> {
    return of(1, 2, 3);
  }
  @SharedTask()
  async promised(): Promise<Observable<number>> {
    return of(4);
  }
  @SharedTask()
  broken(): Observable<number> {
    return concat(
      of(1),
      throwError(() => new Error('broken stream')),
    );
  }
  @SharedTask()
  empty(): Observable<number> {
    return EMPTY;
  }
}

const providers = [Trace, RoleGuard, Guarded, Filtered, Streams];

describe('enhancers of class and method', () => {
  it('run in order, with injected dependencies', async () => {
    const one = await boot({ providers });
    const { value } = await one.run('Guarded.all', ['  x '], { headers: { role: 'admin' } });
    expect(value).toEqual({ value: 'x', attempt: 1 });
    expect(one.app.get(Trace).steps).toEqual(['guard task Guarded.all', 'before ["  x "]', 'pipe', 'method "x"']);
  });

  it('refuse for good: a guard that says no is not asked again', async () => {
    const one = await boot({ providers });
    const record = await one.run('Guarded.guarded', [], { headers: { role: 'guest' } });
    expect(record).toMatchObject({ state: 'REJECTED', attempts: 1, failure: { code: 'TASK_REJECTED' } });
    expect(record.failure?.message).toContain('Forbidden resource');
    await expect(one.client.handle(record.taskId).get()).rejects.toMatchObject({ code: 'TASK_REJECTED' });
  });

  it.each([
    [new ForbiddenException('not yours'), 'REJECTED'],
    [new ConflictException('busy'), 'RETRY'],
  ])('tell refusals from failures by their status: %s', async (error, state) => {
    @Injectable()
    class Throws {
      @SharedTask({ retry: { for: true, delay: '1m' } })
      async run(): Promise<void> {
        throw error;
      }
    }
    const one = await boot({ providers: [Throws] });
    expect((await one.run('Throws.run')).state).toBe(state);
  });

  it('are left out by enhancers: none', async () => {
    const one = await boot({ providers }, { enhancers: 'none' });
    expect((await one.run('Guarded.all', [' x '])).value).toBe('x');
    expect(one.app.get(Trace).steps).toEqual(['pipe', 'method "x"']);
  });

  it('must not be left out silently where Nest does not make them', async () => {
    const hidden = { provide: Guarded, useFactory: (trace: Trace) => new Guarded(trace), inject: [Trace] };
    await expect(boot({ providers: [Trace, hidden] })).rejects.toThrow(/Guarded\.all: expected a class in `providers`/);
    const one = await boot({ providers: [Trace, hidden] }, { enhancers: 'none' });
    expect((await one.run('Guarded.guarded')).state).toBe('SUCCESS');
  });

  it('work for a class under another token, and for enhancers given as objects', async () => {
    const sayNo: CanActivate = { canActivate: () => false };
    class Made {
      @SharedTask()
      @UseGuards(sayNo)
      async run(): Promise<void> {}
    }
    const one = await boot({
      providers: [
        Trace,
        RoleGuard,
        { provide: 'G', useClass: Guarded },
        { provide: 'M', useFactory: () => new Made() },
      ],
    });
    expect((await one.run('Guarded.guarded', [], { headers: { role: 'guest' } })).state).toBe('REJECTED');
    expect((await one.run('Guarded.guarded', [], { headers: { role: 'admin' } })).state).toBe('SUCCESS');
    expect((await one.run('Made.run')).state).toBe('REJECTED');
  });
});

describe('exception filters', () => {
  it.each([
    ['ok', 'SUCCESS', { handled: 'ok' }],
    ['stream', 'SUCCESS', 'streamed'],
    ['rethrow', 'FAILURE', undefined],
    ['silent', 'FAILURE', undefined],
  ])('%s → %s', async (message, state, value) => {
    const one = await boot({ providers });
    const record = await one.run('Filtered.declines', [message]);
    expect(record).toMatchObject({ state, value });
    expect(one.app.get(Trace).steps).toEqual([`filter ${message} true Filtered.declines`]);
    if (state === 'FAILURE') expect(record.failure?.message).toBe(message === 'rethrow' ? 'rethrown' : 'silent');
  });

  it('are passed by by what they do not catch, and by signals', async () => {
    const one = await boot({ providers });
    expect((await one.run('Filtered.fails')).failure).toMatchObject({ type: 'TypeError', message: 'other' });
    expect((await one.run('Filtered.signals', ['ignore'])).state).toBe('IGNORED');
    expect((await one.run('Filtered.signals', ['snooze'])).state).toBe('PENDING');
    expect((await one.run('Filtered.signals', ['retry'])).state).toBe('RETRY');
    expect((await one.run('Filtered.signals', ['reject'])).state).toBe('REJECTED');
    expect(one.app.get(Trace).steps).toEqual([]);
  });

  it('pass signals by that a catch-all would turn into successes', async () => {
    @Catch()
    class CatchAll implements ExceptionFilter {
      catch(): string {
        return 'caught';
      }
    }
    @Injectable()
    @UseFilters(new CatchAll())
    class Careless {
      @SharedTask()
      async run(kind: string): Promise<void> {
        throw kind === 'signal' ? new Reject('no') : new Error('failed');
      }
    }
    const one = await boot({ providers: [Careless] });
    expect((await one.run('Careless.run', ['signal'])).state).toBe('REJECTED');
    expect(await one.run('Careless.run', ['error'])).toMatchObject({ state: 'SUCCESS', value: 'caught' });
  });
});

@Catch(TypeError)
class TypeErrorFilter implements ExceptionFilter {
  catch(): string {
    return 'filtered';
  }
}

describe('global enhancers', () => {
  const steps: string[] = [];
  const globals = [
    {
      provide: APP_GUARD,
      useValue: {
        canActivate: (context: ExecutionContext) => {
          steps.push(`guard ${context.getType<string>()}`);
          return context.getType<string>() !== 'task' || taskContextOf(context).headers['role'] !== 'guest';
        },
      },
    },
    {
      provide: APP_INTERCEPTOR,
      useValue: {
        intercept: (_: ExecutionContext, next: CallHandler) => {
          steps.push('interceptor');
          return next.handle();
        },
      },
    },
    {
      provide: APP_PIPE,
      useValue: {
        transform: (value: unknown) => {
          steps.push('pipe');
          return value;
        },
      },
    },
    { provide: APP_FILTER, useClass: TypeErrorFilter },
  ];
  afterEach(() => void steps.splice(0));

  @Injectable()
  class Plain {
    @SharedTask()
    async echo(text: string): Promise<string> {
      if (text === 'fail') throw new TypeError('failed');
      return text;
    }
  }

  it('do not touch tasks by default', async () => {
    const one = await boot({ providers: [Plain, ...globals] });
    expect((await one.run('Plain.echo', ['x'], { headers: { role: 'guest' } })).value).toBe('x');
    expect(steps).toEqual([]);
  });

  it('run around tasks when asked for', async () => {
    const one = await boot({ providers: [Plain, ...globals] }, { enhancers: 'all' });
    expect((await one.run('Plain.echo', ['x'])).value).toBe('x');
    expect(steps).toEqual(['guard task', 'interceptor', 'pipe']);
    expect((await one.run('Plain.echo', ['x'], { headers: { role: 'guest' } })).state).toBe('REJECTED');
    expect((await one.run('Plain.echo', ['fail'])).value).toBe('filtered');
  });
});

describe('results', () => {
  it('of an Observable are its last value', async () => {
    const one = await boot({ providers });
    expect((await one.run('Streams.last')).value).toBe(3);
    expect((await one.run('Streams.promised')).value).toBe(4);
    expect((await one.run('Streams.broken')).failure?.message).toBe('broken stream');
    expect((await one.run('Streams.empty')).state).toBe('SUCCESS');
  });
});

describe('isTaskHost', () => {
  it('tells contexts apart', () => {
    const host = { getType: () => 'http' } as unknown as ExecutionContext;
    expect(isTaskHost(host)).toBe(false);
    expect(() => taskContextOf(host)).toThrow(UsageError);
  });
});
