import type {
  ArgumentMetadata,
  ArgumentsHost,
  CallHandler,
  CanActivate,
  DynamicModule,
  ExceptionFilter,
  ExecutionContext,
  INestApplicationContext,
  NestInterceptor,
  PipeTransform,
  Type,
} from '@nestjs/common';
import {
  BadRequestException,
  Catch,
  Inject,
  Injectable,
  Module,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { NestFactory, REQUEST } from '@nestjs/core';
import { Cron, Interval, ScheduleModule, Timeout } from '@nestjs/schedule';
import type { TaskContext, TaskQueueModuleOptions } from '@taskqueue/nestjs';
import {
  Every,
  SharedTask,
  Task,
  TaskClient,
  taskContextOf,
  TaskQueueLifecycle,
  TaskQueueModule,
  TaskQueueRuntime,
} from '@taskqueue/nestjs';
import { bodySize, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import type { Observable } from 'rxjs';
import { map } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/databases.js';
import { createDatabase } from '../support/databases.js';

const open: { app: INestApplicationContext; database: TestDatabase | undefined }[] = [];

afterEach(async () => {
  for (const { app, database } of open.splice(0).toReversed()) {
    await app.close();
    await database?.remove();
  }
});

/** An application with worker and beat inside, on an SQLite file of its own or on one that is given. */
async function start(
  providers: Type[],
  options: TaskQueueModuleOptions = {},
  { given, imports = [] }: { readonly given?: TestDatabase; readonly imports?: DynamicModule[] } = {},
): Promise<{ app: INestApplicationContext; client: TaskClient; runtime: TaskQueueRuntime; database: TestDatabase }> {
  const database = given ?? (await createDatabase('sqlite'));
  @Module({
    imports: [
      TaskQueueModule.forRoot({
        driver: database.url,
        embedded: 'both',
        logger: silentLogger,
        beat: { poll: 50 },
        ...options,
        worker: { logTasks: false, shutdownGrace: '2s', ...options.worker },
      }),
      ...imports,
    ],
    providers,
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  open.push({ app, database: given === undefined ? database : undefined });
  return { app, client: app.get(TaskClient), runtime: app.get(TaskQueueRuntime), database };
}

let sessions = 0;

@Injectable({ scope: Scope.REQUEST })
class Session {
  readonly number = (sessions += 1);
  readonly steps: string[] = [];
  constructor(@Inject(REQUEST) readonly task: TaskContext) {}
}

@Injectable({ scope: Scope.REQUEST })
class TenantGuard implements CanActivate {
  constructor(private readonly session: Session) {}
  canActivate(context: ExecutionContext): boolean {
    this.session.steps.push(`guard ${taskContextOf(context).attempt}`);
    return this.session.task.headers['tenant'] !== undefined;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Envelope implements NestInterceptor {
  constructor(private readonly session: Session) {}
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    this.session.steps.push('interceptor');
    const { number, steps, task } = this.session;
    return next.handle().pipe(map((value: unknown) => ({ value, session: number, steps, id: task.id })));
  }
}

@Injectable({ scope: Scope.REQUEST })
class Positive implements PipeTransform<number, number> {
  constructor(private readonly session: Session) {}
  transform(value: number, { type }: ArgumentMetadata): number {
    // As for a request, a pipe of the method is asked about decorated parameters too.
    this.session.steps.push(`pipe ${type}`);
    if (value < 0) throw new BadRequestException('must be positive');
    return value;
  }
}

class Declined extends Error {}

@Catch(Declined)
@Injectable({ scope: Scope.REQUEST })
class DeclinedFilter implements ExceptionFilter {
  constructor(private readonly session: Session) {}
  catch(error: Declined, _host: ArgumentsHost): unknown {
    if (error.message === 'again') throw error;
    return { declined: error.message, session: this.session.number };
  }
}

@Injectable()
@UseGuards(TenantGuard)
@UseInterceptors(Envelope)
@UseFilters(DeclinedFilter)
class Payments {
  constructor(private readonly session: Session) {}

  @SharedTask({ retry: { for: [Declined], max: 2, delay: 1 } })
  @UsePipes(Positive)
  async pay(amount: number, @Task() task: TaskContext): Promise<unknown> {
    if (amount === 13) throw new Declined('unlucky');
    if (amount === 7 && task.attempt < 3) throw new Declined('again');
    return { amount, session: this.session.number };
  }
}

const tenant = { headers: { tenant: 'acme' } };

describe('request-scoped enhancers around tasks of a real worker', () => {
  it('share the instances of their run, and no other run does', async () => {
    const { client } = await start([Session, TenantGuard, Envelope, Positive, DeclinedFilter, Payments]);
    const { pay } = client.for(Payments);
    const handles = await Promise.all([1, 2, 3].map((amount) => pay.applyAsync([amount], tenant)));
    const results = (await Promise.all(handles.map((handle) => handle.get({ timeout: '10s' })))) as any[];
    results.forEach((result, index) => {
      expect(result.id).toBe(handles[index]?.id);
      expect(result.value).toEqual({ amount: index + 1, session: result.session });
      expect(result.steps).toEqual(['guard 1', 'interceptor', 'pipe custom', 'pipe body']);
    });
    expect(new Set(results.map((result) => result.session)).size).toBe(3);
  });

  it('get new instances at each attempt', async () => {
    const { client } = await start([Session, TenantGuard, Envelope, Positive, DeclinedFilter, Payments]);
    const before = sessions;
    const handle = await client.for(Payments).pay.applyAsync([7], tenant);
    const result = (await handle.get({ timeout: '10s' })) as any;
    expect(result).toMatchObject({
      session: before + 3,
      steps: ['guard 3', 'interceptor', 'pipe custom', 'pipe body'],
    });
    expect(await handle.attempts()).toBe(3);
  });

  it('refuse for good, handle, or let go on, as they are documented to', async () => {
    const { client, runtime } = await start([Session, TenantGuard, Envelope, Positive, DeclinedFilter, Payments]);
    const { pay } = client.for(Payments);
    const unguarded = await pay.delay(1);
    await expect(unguarded.get({ timeout: '10s' })).rejects.toMatchObject({ code: 'TASK_REJECTED' });
    const negative = await pay.applyAsync([-1], tenant);
    await expect(negative.get({ timeout: '10s' })).rejects.toMatchObject({
      code: 'TASK_REJECTED',
      failure: { message: 'must be positive' },
    });
    expect([await unguarded.attempts(), await negative.attempts()]).toEqual([1, 1]);
    const handled = await pay.applyAsync([13], tenant);
    expect(await handled.get({ timeout: '10s' })).toMatchObject({ declined: 'unlucky' });
    expect(await handled.attempts()).toBe(1);
    const dead = await runtime.stores.inspector?.deadLetters({ limit: 10 });
    expect(dead?.messages.map((message) => message.id).toSorted()).toEqual([unguarded.id, negative.id].toSorted());
  });
});

const fired: string[] = [];

@Injectable()
class Legacy {
  @Cron('* * * * * *', { name: 'each second' })
  async cron(): Promise<void> {
    fired.push('cron');
  }

  @Interval('often', 200)
  async interval(): Promise<void> {
    fired.push('interval');
  }

  @Timeout('once', 100)
  async timeout(): Promise<void> {
    fired.push('timeout');
  }
}

describe('methods of @nestjs/schedule that were adopted', () => {
  it('run as tasks, once for all processes, and the one-shot once for ever', async () => {
    const options = { adoptNestSchedule: true };
    const imports = [ScheduleModule.forRoot()];
    const first = await start([Legacy], options, { imports });
    const again = { given: first.database, imports };
    await start([Legacy], options, again);
    await eventually(() => {
      expect(fired.filter((one) => one === 'cron').length).toBeGreaterThanOrEqual(3);
      expect(fired).toContain('timeout');
    }, 15_000);
    const entries = (await first.runtime.stores.schedules?.list()) ?? [];
    const counts = Object.fromEntries(entries.map((entry) => [entry.name, entry.totalRunCount]));
    expect(counts).toMatchObject({ once: 1 });
    for (const { app } of open.splice(1)) await app.close();
    await first.app.get(TaskQueueLifecycle).drain();
    // Every occurrence was one run: no process kept a timer of its own.
    const after = (await first.runtime.stores.schedules?.list()) ?? [];
    const total = Object.fromEntries(after.map((entry) => [entry.name, entry.totalRunCount]));
    const seen = (what: string): number => fired.filter((one) => one === what).length;
    expect(seen('timeout')).toBe(1);
    expect(seen('cron')).toBeLessThanOrEqual(total['each second'] ?? 0);
    expect(seen('interval')).toBeLessThanOrEqual(total['often'] ?? 0);
    expect(seen('interval')).toBeGreaterThan(seen('cron') * 2);
    fired.length = 0;
    await start([Legacy], options, again);
    await eventually(() => expect(fired).toContain('cron'), 10_000);
    expect(fired).not.toContain('timeout');
  }, 60_000);
});

@Injectable()
class Texts {
  @SharedTask()
  async length(text: string): Promise<{ length: number; text: string }> {
    return { length: text.length, text };
  }
}

describe('compression', () => {
  it.each([
    ['gzip', 'application/x-gzip'],
    ['zlib', 'application/x-gzip'],
    ['brotli', 'application/x-brotli'],
    ['none', undefined],
  ] as const)('by %s is written into the message, and undone by the worker', async (compression, mediaType) => {
    const { client, runtime } = await start([Texts], { compression, embedded: 'none' });
    const text = 'words, words, words. '.repeat(2_000);
    const handle = await client.for(Texts).length.delay(text);
    const [waiting] = (await runtime.stores.inspector?.peek({ queue: 'default', status: 'ready', limit: 1 })) ?? [];
    expect(waiting?.message.headers['compression']).toBe(mediaType);
    const size = bodySize(waiting?.message.body ?? '');
    if (mediaType === undefined) expect(size).toBeGreaterThan(text.length);
    else expect(size).toBeLessThan(text.length / 20);
    const worker = runtime.createWorker();
    await worker.start();
    expect(await handle.get({ timeout: '10s' })).toEqual({ length: text.length, text });
    await worker.stop();
  });
});

const attempts: number[] = [];

@Injectable()
class Flaky {
  @SharedTask({ retry: { for: true, max: 3, backoff: 'exponential', delay: '400ms', maxDelay: '500ms' } })
  async jittered(): Promise<number> {
    attempts.push(Date.now());
    if (attempts.length < 4) throw new Error('again');
    return attempts.length;
  }
}

describe('the jitter of retries', () => {
  it.each([
    [0, 0],
    [0.5, 700],
    [0.999, 1_398],
  ])('at %d of chance waits as long in all', async (chance, totalMs) => {
    attempts.length = 0;
    const { client } = await start([Flaky], { random: () => chance });
    const handle = await client.for(Flaky).jittered.delay();
    expect(await handle.get({ timeout: '20s' })).toBe(4);
    // 400 ms, then twice the cap of 500: each times the chance.
    const took = (attempts.at(-1) ?? 0) - (attempts[0] ?? 0);
    expect(took).toBeGreaterThanOrEqual(totalMs - 20);
    expect(took).toBeLessThan(totalMs + 500);
  });
});

const runs: { from: number; to: number }[] = [];

@Injectable()
class Periodic {
  @SharedTask()
  @Every(100, { overlap: 'skip' })
  async slow(): Promise<void> {
    const from = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 350));
    runs.push({ from, to: Date.now() });
  }
}

@Injectable()
class Late {
  @SharedTask()
  async tick(): Promise<void> {}
}

describe('beat on a real store', () => {
  it('lets no two runs of an entry overlap that says so', async () => {
    runs.length = 0;
    await start([Periodic]);
    await eventually(() => expect(runs.length).toBeGreaterThanOrEqual(4), 20_000);
    runs.slice(1).forEach(({ from }, index) => expect(from).toBeGreaterThanOrEqual(runs[index]?.to ?? Infinity));
  });

  it.each([
    ['all', 3, 3],
    ['one', 3, 1],
    ['skip', 3, 0],
  ] as const)(
    'makes up for what was missed by the policy %s with a limit of %d',
    async (misfire, misfireLimit, made) => {
      const schedule = { tick: { task: 'Late.tick', every: 200, misfire, misfireLimit, misfireGrace: 150 } } as const;
      const { database, runtime, app } = await start([Late], { schedule });
      const entry = async () => {
        const [found] = (await runtime.stores.schedules?.list()) ?? [];
        return { count: found?.totalRunCount ?? 0, dueAt: found?.dueAt ?? 0, now: Date.now() };
      };
      await eventually(async () => expect((await entry()).count).toBeGreaterThan(0));
      await app.get(TaskQueueLifecycle).drain();
      const stopped = await entry();
      // Ten occurrences are missed.
      await eventually(() => expect(Date.now()).toBeGreaterThan(stopped.dueAt + 2_000), 5_000);
      await start([Late], { schedule }, { given: database });
      const later = await eventually(async () => {
        const found = await entry();
        expect(found.dueAt).toBeGreaterThan(found.now - 600);
        return found;
      });
      const missed = Math.floor((later.now - stopped.dueAt) / 200) + 1;
      const onTime = 6;
      expect(missed).toBeGreaterThanOrEqual(10);
      expect(later.count - stopped.count).toBeGreaterThanOrEqual(made);
      expect(later.count - stopped.count).toBeLessThanOrEqual(made + onTime);
    },
  );
});
