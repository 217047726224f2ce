import type { Beat, CallerArguments, Clock, Duration, TaskClass } from '@taskqueue/core';
import { UsageError } from '@taskqueue/core';
import type { EnqueuedLog, EnqueuedTask, ExpectedTask } from '@taskqueue/core/testing';
import { assertEnqueued, FakeClock, refuteEnqueued } from '@taskqueue/core/testing';
import type { TaskQueueRuntime } from '../task-queue.runtime.js';
import { WorkSession } from './work-session.js';

/** What runs, and when: see `TaskQueueTestingModule`. */
export type TestMode = 'recorded' | 'inline';

/** What a tester works with. */
export interface TestSetup {
  readonly mode: TestMode;
  readonly clock: Clock;
  readonly log: EnqueuedLog;
}

/** Conditions beside the arguments. */
export type ExpectedCall = Omit<ExpectedTask, 'task' | 'args'>;

/** The tasks of a class, each as a question about its calls. */
export type Expectations<T, R, Optional> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] extends (
    ...args: infer A
  ) => unknown
    ? (...args: Optional extends true ? CallerArguments<A> | [] : CallerArguments<A>) => R
    : never;
};

/**
 * What a test asks and tells the queue:
 *
 * ```ts
 * await users.signUp('ada@example.org');
 * queue.expectEnqueued(MailTasks).sendWelcome(42);
 * await queue.drain();
 * expect(mailer.sent).toHaveLength(1);
 * ```
 */
export class TaskQueueTester {
  private attached: { readonly runtime: TaskQueueRuntime; readonly session: WorkSession } | undefined;
  private beat: Beat | undefined;

  constructor(private readonly setup: TestSetup) {}

  /** For the testing module: the queue of the application under test. */
  attach(runtime: TaskQueueRuntime): void {
    this.attached = { runtime, session: new WorkSession(runtime, this.setup.log) };
  }

  /**
   * Asserts that a task was enqueued, also when it has run by now, and gives it; else an AssertionError lists what was
   * enqueued instead. `expected` adds conditions: `expectEnqueued(MailTasks, { queue: 'mail', eta: 'later' })`.
   */
  expectEnqueued<T>(taskClass: TaskClass<T>, expected: ExpectedCall = {}): Expectations<T, EnqueuedTask, false> {
    return this.questions(taskClass, (task, args) => assertEnqueued(this.setup.log, { ...expected, task, args }));
  }

  /** Asserts that a task was not enqueued: with these arguments, or, called without any, at all. */
  expectNotEnqueued<T>(taskClass: TaskClass<T>, expected: ExpectedCall = {}): Expectations<T, void, true> {
    return this.questions(taskClass, (task, args) =>
      refuteEnqueued(this.setup.log, { ...expected, task, ...(args.length === 0 ? {} : { args }) }),
    );
  }

  /** Everything that was enqueued, oldest first: by the client, by links of tasks, by beat. Retries do not count again. */
  enqueued(): readonly EnqueuedTask[] {
    return this.setup.log.list();
  }

  /** Forgets what was enqueued; the tasks themselves stay. */
  clear(): void {
    this.setup.log.clear();
  }

  /**
   * Runs everything that is due, through a real worker: what was enqueued, what that enqueues, callbacks, retries
   * without a wait. Resolves when only what is due later is left.
   */
  drain(): Promise<void> {
    return this.session.use(() => Promise.resolve());
  }

  /**
   * Moves the clock, so that instants, retries, schedules, limits and leases fall due in their order. In the mode
   * `inline` the tasks run at their instants; in the mode `recorded` they wait for `drain`. Throws STATE_INVALID when
   * the clock is a real one.
   */
  async advance(duration: Duration): Promise<void> {
    const { clock, mode } = this.setup;
    if (!(clock instanceof FakeClock)) {
      throw new UsageError({
        code: 'STATE_INVALID',
        message: 'A real clock cannot be moved.',
        remedy: 'Leave `clock` out in TaskQueueTestingModule.forRoot, or give a FakeClock.',
      });
    }
    if (mode === 'inline') await this.session.use(() => clock.advance(duration));
    else await clock.advance(duration);
  }

  /**
   * Looks at the schedules, as a beat does. The first look syncs what code declares and plans the first runs; from then
   * on a beat runs, and sends what falls due while the clock is advanced.
   */
  async runBeat(): Promise<void> {
    if (this.beat === undefined) await this.startBeat();
    else this.beat.wake();
    const { clock } = this.setup;
    if (clock instanceof FakeClock) await clock.settle();
    if (this.setup.mode === 'inline') await this.drain();
  }

  /** For the testing module: something was published. In the mode `inline` it runs now. */
  async published(): Promise<void> {
    if (this.setup.mode === 'inline' && !this.session.isInside) await this.drain();
  }

  /** For the testing module: the application closes. */
  async close(): Promise<void> {
    await this.beat?.stop();
    await this.attached?.session.close();
  }

  private get runtime(): TaskQueueRuntime {
    return this.application.runtime;
  }

  private get session(): WorkSession {
    return this.application.session;
  }

  private get application(): NonNullable<typeof this.attached> {
    if (this.attached !== undefined) return this.attached;
    throw new UsageError({
      code: 'STATE_INVALID',
      message: 'The application under test is not there yet.',
      remedy: 'Compile the testing module first.',
    });
  }

  private async startBeat(): Promise<void> {
    this.beat = this.runtime.createBeat();
    await this.beat.start();
  }

  /** One function a method, under the names that the client gives the tasks. */
  private questions<T, E>(taskClass: TaskClass<T>, ask: (task: string, args: readonly unknown[]) => unknown): E {
    const callers = this.runtime.client.for(taskClass) as unknown as Record<
      string,
      { readonly taskName: string } | undefined
    >;
    const get = (_: object, method: string | symbol): unknown => {
      const caller = typeof method === 'string' ? callers[method] : undefined;
      return caller === undefined ? undefined : (...args: readonly unknown[]) => ask(caller.taskName, args);
    };
    return new Proxy({}, { get }) as E;
  }
}
