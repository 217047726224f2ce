import type { DynamicModule } from '@nestjs/common';
import type { TestingModuleBuilder } from '@nestjs/testing';
import type { Clock, Driver } from '@taskqueue/core';
import { memoryDriver, silentLogger, systemClock } from '@taskqueue/core';
import { FakeClock, recordingDriver } from '@taskqueue/core/testing';
import { TASK_QUEUE_OPTIONS } from '../task-queue.constants.js';
import type { TaskQueueModuleExtras } from '../task-queue.module.js';
import { TaskQueueModule } from '../task-queue.module.js';
import type { TaskQueueModuleOptions } from '../task-queue.module-options.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import type { TestMode } from './task-queue-tester.js';
import { TaskQueueTester } from './task-queue-tester.js';

/** How a test wants its queue. */
export interface TestQueueOptions {
  /**
   * `recorded` (default): nothing runs until the test calls `drain()`. `inline`: each task runs to its end, with what it
   * enqueues in turn, before `delay()` resolves; what is due later runs while the clock is advanced.
   */
  readonly mode?: TestMode;
  /** Default: a FakeClock that starts at the real time and is moved by `advance()`. `real`: the real clock. */
  readonly clock?: Clock | 'real';
}

/** Options of the module under test, without its drivers, and how the test wants it. */
export type TaskQueueTestingOptions = TestQueueOptions &
  Omit<TaskQueueModuleOptions, 'driver' | 'broker' | 'results' | 'schedules' | 'embedded' | 'clock'>;

/**
 * `TaskQueueModule` for tests: everything in memory, on a clock that only moves when it is told, with a
 * {@link TaskQueueTester} to inject or get:
 *
 * ```ts
 * const app = await Test.createTestingModule({ imports: [TaskQueueTestingModule.forRoot()], providers: [MailTasks] }).compile();
 * await app.init();
 * const queue = app.get(TaskQueueTester);
 * ```
 *
 * An application that imports `TaskQueueModule` itself is tested as it is, but for its drivers and clock:
 *
 * ```ts
 * const builder = Test.createTestingModule({ imports: [AppModule] });
 * const queue = TaskQueueTestingModule.replaceIn(builder);
 * const app = await builder.compile();
 * ```
 *
 * Nothing is left open after `app.close()`.
 */
export class TaskQueueTestingModule extends TaskQueueModule {
  static override forRoot(options: TaskQueueTestingOptions & TaskQueueModuleExtras = {}): DynamicModule {
    const { mode, clock, ...rest } = options;
    const test = testQueue({ ...(mode === undefined ? {} : { mode }), ...(clock === undefined ? {} : { clock }) });
    const definition = super.forRoot(test.adapt({ logger: silentLogger, random: () => 0.5, ...rest }));
    const tester = {
      provide: TaskQueueTester,
      inject: [TaskQueueRuntime],
      useFactory: (runtime: TaskQueueRuntime): TaskQueueTester => {
        test.tester.attach(runtime);
        return test.tester;
      },
    };
    return {
      ...definition,
      providers: [...(definition.providers ?? []), tester],
      exports: [...(definition.exports ?? []), TaskQueueTester],
    };
  }

  /** Replaces drivers and clock of an application's own task queue; its other options stay. Call it before `compile`. */
  static replaceIn(builder: TestingModuleBuilder, options: TestQueueOptions = {}): TaskQueueTester {
    const test = testQueue(options);
    builder.overrideProvider(TaskQueueRuntime).useFactory({
      inject: [TASK_QUEUE_OPTIONS],
      factory: async (own: TaskQueueModuleOptions) => {
        const runtime = await TaskQueueRuntime.create(test.adapt(own));
        test.tester.attach(runtime);
        return runtime;
      },
    });
    return test.tester;
  }
}

/** A tester, and options made so that it is told what happens. */
function testQueue({ mode = 'recorded', clock: choice = new FakeClock() }: TestQueueOptions) {
  const clock: Clock = choice === 'real' ? systemClock : choice;
  const recorded = recordingDriver(memoryDriver({ clock }));
  const tester = new TaskQueueTester({ mode, clock, log: recorded.log });
  const driver = announcing(recorded.driver, tester);
  const adapt = (options: TaskQueueModuleOptions): TaskQueueModuleOptions => ({
    ...options,
    // No grace: nobody moves the clock while the application closes. Beat need not look for edits all the time.
    worker: { logTasks: false, ...options.worker, shutdownGrace: 0 },
    beat: { poll: '1m', ...options.beat },
    embedded: 'none',
    // Each one by name, so that no variable of the environment can lead a test to a real store.
    broker: driver,
    results: driver,
    schedules: driver,
    clock,
  });
  return { tester, adapt };
}

/** The driver, with a word to the tester after each publish and at the end. */
function announcing(driver: Driver, tester: TaskQueueTester): Driver {
  const broker = driver.broker as NonNullable<Driver['broker']>;
  const publish: typeof broker.publish = async (messages, options) => {
    const outcomes = await broker.publish(messages, options);
    if (outcomes.some(({ status }) => status === 'accepted')) await tester.published();
    return outcomes;
  };
  const announced = new Proxy(broker, {
    get: (target, property) => (property === 'publish' ? publish : (Reflect.get(target, property) as unknown)),
  });
  return {
    ...driver,
    broker: announced,
    async close() {
      await tester.close();
      await driver.close();
    },
  };
}
