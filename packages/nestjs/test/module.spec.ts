import { Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { silentLogger } from '@taskqueue/core';
import { FakeClock, FaultyDriver } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TaskQueueModuleOptions } from '../src/index.js';
import {
  memoryDriver,
  SharedTask,
  TaskClient,
  TaskQueueHealth,
  TaskQueueModule,
  TaskQueueRuntime,
} from '../src/index.js';
import { TaskQueueLifecycle } from '../src/lifecycle/task-queue.lifecycle.js';

@Injectable()
class Tasks {
  @SharedTask()
  async add(a: number, b: number): Promise<number> {
    return a + b;
  }
}

const quiet = { worker: { logTasks: false } };
const opened: { close(): Promise<void> }[] = [];

async function start(...imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>) {
  const app = await Test.createTestingModule({ imports, providers: [Tasks] }).compile();
  app.useLogger(false);
  await app.init();
  opened.push(app);
  return app;
}

const create = (options: TaskQueueModuleOptions, env: Record<string, string> = {}) =>
  TaskQueueRuntime.create(options, env);

beforeEach(() => vi.stubEnv('TASKQUEUE_URL', 'memory:'));
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

describe('TaskQueueModule', () => {
  it('needs no options, and takes its driver from the environment', async () => {
    const app = await start(TaskQueueModule.forRoot());
    const runtime = app.get(TaskQueueRuntime);
    expect(runtime.stores.drivers.map((driver) => driver.name)).toEqual(['memory']);
    expect(await app.get(TaskClient).for(Tasks).add.call(2, 3)).toBe(5);
  });

  it('says so when the factory of its options returns nothing', async () => {
    const options = { useFactory: () => undefined as unknown as TaskQueueModuleOptions };
    await expect(start(TaskQueueModule.forRootAsync(options))).rejects.toMatchObject({
      code: 'CONFIGURATION_INVALID',
      message: expect.stringContaining('options: expected an object, got undefined') as string,
    });
  });

  it('is global unless it is told not to be', async () => {
    @Injectable()
    class Far {
      constructor(readonly client: TaskClient) {}
    }
    @Module({ providers: [Far] })
    class FarModule {}
    const app = await start(FarModule, TaskQueueModule.forRoot());
    expect(app.get(Far).client).toBe(app.get(TaskClient));
    await expect(start(FarModule, TaskQueueModule.forRoot({ isGlobal: false }))).rejects.toThrow(/TaskClient/);
  });

  it('takes its options from a factory', async () => {
    const app = await start(
      TaskQueueModule.forRootAsync({
        imports: [
          ConfigModule.forRoot({ ignoreEnvFile: true, load: [() => ({ queue: 'configured', url: 'memory:' })] }),
        ],
        inject: [ConfigService],
        useFactory: (config: ConfigService) => ({
          driver: config.getOrThrow<string>('url'),
          defaultQueue: config.getOrThrow<string>('queue'),
          ...quiet,
        }),
      }),
    );
    expect(app.get(TaskQueueRuntime).settings.defaultQueue).toBe('configured');
  });

  it('refuses to be imported twice', async () => {
    @Module({ imports: [TaskQueueModule.forRoot()] })
    class Feature {}
    await expect(start(TaskQueueModule.forRoot({ defaultQueue: 'a' }), Feature)).rejects.toMatchObject({
      code: 'STATE_INVALID',
      message: expect.stringContaining('imported twice') as string,
    });
  });

  it('knows nothing of a second application in the process', async () => {
    const [a, b] = [await start(TaskQueueModule.forRoot()), await start(TaskQueueModule.forRoot())];
    const handle = await a.get(TaskClient).for(Tasks).add.delay(1, 2);
    expect(await b.get(TaskClient).handle(handle.id).record()).toBeUndefined();
  });
});

describe('configuration', () => {
  it('prefers the environment to code, and this to the defaults', async () => {
    const env = { TASKQUEUE_DEFAULT_QUEUE: 'env', TASKQUEUE_WORKER_CONCURRENCY: '3', TASKQUEUE_WORKER_QUEUES: 'a, b' };
    const { settings } = await create({ driver: 'memory:', defaultQueue: 'code', worker: { lease: '9s' } }, env);
    expect(settings).toMatchObject({
      defaultQueue: 'env',
      resultExpires: '1d',
      worker: { concurrency: 3, queues: ['a', 'b'], lease: '9s' },
    });
  });

  it('makes one driver of one URL, and composes several', async () => {
    const { stores } = await create({}, { TASKQUEUE_URL: 'memory:' });
    expect(stores.drivers).toHaveLength(1);
    const empty = await create(
      { driver: '' },
      { TASKQUEUE_URL: 'memory:', TASKQUEUE_BROKER_URL: '', TASKQUEUE_RESULTS_URL: '' },
    );
    expect(
      empty.stores.drivers.map(({ name }) => name),
      'empty text gives nothing',
    ).toEqual(['memory']);
    expect(stores.atomicCompletion).toBe(true);
    const results = memoryDriver();
    const split = await create({ broker: 'memory:', results });
    expect(split.stores.drivers).toHaveLength(2);
    expect(split.stores.results).toBe(results.results);
    expect((await create({ driver: 'memory:', results: false })).stores.results).toBeUndefined();
  });

  it('takes from a common driver what it has, and results by rpc where they are asked for', async () => {
    const broker = 'amqp://127.0.0.1:1';
    const { stores } = await create({ driver: broker });
    expect([stores.results, stores.drivers.map(({ name }) => name)]).toEqual([undefined, ['amqp']]);
    for (const rpc of [
      create({ driver: broker, results: 'rpc://' }),
      create({}, { TASKQUEUE_URL: broker, TASKQUEUE_RESULTS_URL: 'rpc://' }),
    ]) {
      const { results, drivers } = (await rpc).stores;
      expect([results, drivers.length]).toEqual([drivers[0]?.rpc, 1]);
    }
    expect((await create({ broker: 'pyamqp://127.0.0.1:1', results: 'memory:' })).stores.results).toBeDefined();
    await expect(create({ broker, results: broker })).rejects.toThrow(/a driver that offers results/);
    await expect(create({ driver: 'memory:', results: 'rpc://' })).rejects.toThrow(/results by rpc/);
  });

  it('lists every problem at once, whatever its kind', async () => {
    const options = {
      driver: 'carrier-pigeon://user:secret@loft',
      embedded: 'wroker',
      enhancers: 'some',
      adoptNestSchedule: 'yes',
      conncurrency: 3,
      worker: { concurrency: 0, lease: '5 parsecs' },
    };
    const error = await create(options as never, { TASKQUEUE_BEAT_POLL: 'often' }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'CONFIGURATION_INVALID' });
    expect((error as { problems: { path: string }[] }).problems.map(({ path }) => path).sort()).toEqual([
      'adoptNestSchedule',
      'beat.poll',
      'conncurrency',
      'driver',
      'embedded',
      'enhancers',
      'worker.concurrency',
      'worker.lease',
    ]);
    expect(String(error)).not.toContain('secret');
    expect(String(error)).toContain('memory, sqlite, postgres');
  });

  it('reports every bad URL', async () => {
    const options = { broker: 'a:', results: 'b:', schedules: 'c:' };
    await expect(create(options)).rejects.toThrow(/3 problems[^]*broker[^]*results[^]*schedules/);
  });

  it.each([
    [{ drivr: 'memory:' }, /drivr: expected one of driver, broker, [^]*defaultQueue/],
    [{ driver: 5 }, /driver: expected a driver or the URL of one, got 5/],
    [{ driver: null }, /driver: expected a driver or the URL of one, got null/],
    [{ results: true }, /results: expected a driver or the URL of one, got true/],
    [{ schedules: {} }, /schedules: expected a driver or the URL of one/],
    [{ logger: console }, /logger: expected an object with the methods fatal, error/],
    [{ clock: Date }, /clock: expected an object with the methods now/],
    [{ random: 0.5 }, /random: expected a function/],
    [{ schedule: [] }, /schedule: expected an object/],
  ])('says what is wrong with %j, and nothing else', async (options, message) => {
    const error: unknown = await create(options as never).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'CONFIGURATION_INVALID', problems: { length: 1 } });
    expect((error as Error).message).toMatch(message);
  });

  it('names the schemes that there are, and no package that is not', async () => {
    const error = await create({ driver: 'sqs://queue' }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'CONFIGURATION_INVALID' });
    expect((error as Error).message).toMatch(/driver: expected a URL that begins with one of memory, sqlite, .*amqp/);
    expect((error as Error).message).not.toContain('npm install');
  });

  it('names an option that was probably meant', async () => {
    await expect(create({ drivr: 'memory:' } as never)).rejects.toThrow(/Did you mean driver\?/);
  });

  it('warns once of variables that are none of ours, and starts all the same', async () => {
    vi.stubEnv('TASKQUEUE_WORKER_CONCURENCY', '4');
    const said: string[] = [];
    const logger = { ...silentLogger, warn: (text: string) => void said.push(text) };
    await start(TaskQueueModule.forRoot({ ...quiet, logger, embedded: 'both' }));
    expect(said.filter((text) => text.includes('CONCURENCY'))).toEqual([
      'A variable is no setting and is ignored: TASKQUEUE_WORKER_CONCURENCY: Did you mean TASKQUEUE_WORKER_CONCURRENCY?',
    ]);
  });

  it('refuses schedules of tasks that do not exist, and names that are taken twice', async () => {
    const bad = TaskQueueModule.forRoot({ schedule: { tick: { task: 'Tasks.missing', every: '1m' } } });
    await expect(start(bad)).rejects.toThrow(/schedule tick\.task: expected one of Tasks\.add/);
    const good = TaskQueueModule.forRoot({ schedule: { tick: { task: 'Tasks.add', every: '1m', args: [1, 2] } } });
    const app = await start(good);
    expect(app.get(TaskQueueRuntime).declared.map(({ name }) => name)).toEqual(['tick']);
  });

  it('refuses schedules whose calls their tasks do not take, all at once', async () => {
    const every = '1m';
    const bad = TaskQueueModule.forRoot({
      schedule: {
        many: { task: 'Tasks.add', every, args: [1, 2, 3] },
        named: { task: 'Tasks.add', every, kwargs: { c: 1 } },
        headed: { task: 'Tasks.add', every, args: [1, 2], headers: { id: 'x' } },
        good: { task: 'Tasks.add', every, args: [1, 2] },
      },
    });
    await expect(start(bad)).rejects.toThrow(
      /3 problems[^]*schedule many\.args:[^]*takes 2 arguments and got 3[^]*schedule named\.kwargs\.c:[^]*schedule headed\.headers\.id:/,
    );
  });
});

describe('embedded services', () => {
  it('run tasks and schedules inside the application, and stop with it', async () => {
    const driver = memoryDriver();
    const app = await start(TaskQueueModule.forRoot({ driver, embedded: 'both', ...quiet }));
    const handle = await app.get(TaskClient).for(Tasks).add.delay(20, 22);
    expect(await handle.get({ timeout: '10s' })).toBe(42);
    const services = app.get(TaskQueueLifecycle).services;
    expect(services.map((service) => service.status().state)).toEqual(['running', 'running']);
    await app.close();
    expect(services.map((service) => service.status().state)).toEqual(['stopped', 'stopped']);
  });

  it('drain before the hooks of modules that own what tasks use', async () => {
    const order: string[] = [];
    let release: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (release = resolve));
    @Injectable()
    class Connection {
      open = true;
      onModuleDestroy(): void {
        order.push('connection closed');
        this.open = false;
      }
    }
    @Injectable()
    class Slow {
      constructor(private readonly connection: Connection) {}
      @SharedTask()
      async run(): Promise<boolean> {
        release();
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        order.push(`task ended, connection ${this.connection.open ? 'open' : 'closed'}`);
        return this.connection.open;
      }
    }
    const app = await Test.createTestingModule({
      imports: [TaskQueueModule.forRoot({ driver: memoryDriver(), embedded: 'worker', ...quiet })],
      providers: [Connection, Slow],
    }).compile();
    app.useLogger(false);
    await app.init();
    const handle = await app.get(TaskClient).for(Slow).run.delay();
    await started;
    await app.close();
    expect(order).toEqual(['task ended, connection open', 'connection closed']);
    expect(await handle.state()).toBe('SUCCESS');
  });

  it.each([undefined, new FakeClock()])('tell whoever waits for a result when they close', async (clock) => {
    const driver = memoryDriver(clock === undefined ? {} : { clock });
    const app = await start(TaskQueueModule.forRoot({ driver, ...(clock === undefined ? {} : { clock }) }));
    const calls = Array.from({ length: 20 }, () => app.get(TaskClient).for(Tasks).add.delay(1, 2));
    const handles = await Promise.all(calls);
    const waits = Promise.allSettled(handles.map((handle) => handle.get()));
    await app.close();
    for (const wait of await waits) {
      expect(wait).toMatchObject({ status: 'rejected', reason: { code: 'RESULT_UNAVAILABLE' } });
    }
    // Nor does a wait begin that nothing would end.
    await expect(handles[0]?.get()).rejects.toMatchObject({ code: 'RESULT_UNAVAILABLE' });
  });

  it('fail the start when the broker cannot be reached', async () => {
    const driver = { ...memoryDriver(), connect: () => Promise.reject(new Error('no route')) };
    await expect(start(TaskQueueModule.forRoot({ driver, embedded: 'worker' }))).rejects.toThrow('no route');
  });
});

describe('health', () => {
  it('is up while stores and services answer', async () => {
    const app = await start(TaskQueueModule.forRoot({ driver: memoryDriver(), embedded: 'both', ...quiet }));
    expect(await app.get(TaskQueueHealth).ready()).toMatchObject({
      taskQueue: { status: 'up', workers: [{ state: 'running' }], beats: [{ state: 'running' }] },
    });
  });

  it('is down when a store does not answer, and says why', async () => {
    const driver = { ...memoryDriver(), ping: () => Promise.reject(new Error('no answer')) };
    const app = await start(TaskQueueModule.forRoot({ driver }));
    expect(await app.get(TaskQueueHealth).ready('queue')).toMatchObject({
      queue: { status: 'down', reason: expect.stringContaining('no answer') as string },
    });
  });

  it('is down when a worker hears nothing from its broker, although the store answers', async () => {
    const clock = new FakeClock();
    const driver = new FaultyDriver(memoryDriver({ clock }));
    const options = { driver, clock, embedded: 'worker', logger: silentLogger, worker: { shutdownGrace: 0 } } as const;
    const app = await start(TaskQueueModule.forRoot(options));
    await clock.advance('20s');
    expect(await app.get(TaskQueueHealth).ready()).toMatchObject({ taskQueue: { status: 'up' } });
    driver.down(['consumer.receive']);
    await clock.advance('40s');
    expect(await app.get(TaskQueueHealth).ready()).toMatchObject({
      taskQueue: { status: 'down', reason: expect.stringContaining('has not heard from its broker') as string },
    });
  });

  it('is down when the worker of this process has stopped', async () => {
    const app = await start(TaskQueueModule.forRoot({ driver: memoryDriver(), embedded: 'worker', ...quiet }));
    await app.get(TaskQueueLifecycle).drain();
    expect(await app.get(TaskQueueHealth).ready()).toMatchObject({
      taskQueue: { status: 'down', reason: expect.stringMatching(/is stopped/) as string },
    });
  });
});
