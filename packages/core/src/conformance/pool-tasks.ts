import { threadId } from 'node:worker_threads';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { isTaskQueueError } from '../errors/errors.js';
import type { TaskContext } from '../task/task-context.js';
import { defineTask } from '../task/task-definition.js';
import type { TaskOptions } from '../task/task-options.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { plainHandler } from '../task/task-registry.js';
import { Ignore, Reject, Retry } from '../task/task-signals.js';

/** An error class of an application: only where it is thrown can anybody ask what it is. */
class Moody extends Error {
  override name = 'Moody';
  readonly code = 'EMOOD';
}

const short: StandardSchemaV1 = {
  '~standard': {
    version: 1,
    vendor: 'conformance',
    validate: (value) =>
      typeof value === 'string' && value.length < 8 ? { value } : { issues: [{ message: 'must be short' }] },
  },
};

/** The tasks of the pool suite. The program of a pool under test registers them, where its runs are: also in its children. */
export function registerPoolTasks(registry: TaskRegistry): void {
  const add = (name: string, fn: (...args: never[]) => unknown, options: TaskOptions = {}): void => {
    const definition = defineTask(`pool.${name}`, options);
    registry.register({ definition, handler: plainHandler(definition, fn), source: name });
  };
  addPlain(add);
  addSignals(add);
  addTalking(add);
  addDeadly(add);
}

type Add = (name: string, fn: (...args: never[]) => unknown, options?: TaskOptions) => void;

function addPlain(add: Add): void {
  add('echo', (value: unknown) => value);
  add('where', () => ({ pid: process.pid, thread: threadId }));
  add('fail', () => {
    throw new Moody('no', { cause: new TypeError('because') });
  });
  add(
    'moody',
    (as: string) => {
      throw as === 'moody' ? new Moody('again') : new Error('never');
    },
    { retry: { for: [Moody], max: 2 }, throws: [(error: unknown) => error instanceof Moody] },
  );
  add('throw-text', () => {
    // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error -- what must be borne
    throw 'boom';
  });
  add(
    'misjudged',
    () => {
      throw new Error('of the task');
    },
    {
      throws: [
        () => {
          throw new Error('of the policy');
        },
      ],
    },
  );
  add('unsendable', () => () => 1);
  add('checked', (value: string) => value, { schema: [short] });
}

function addSignals(add: Add): void {
  add('retry', (eta: Date) => {
    throw new Retry({ eta, max: Infinity, args: ['next', eta], cause: new Moody('first') });
  });
  add('retry-unsendable', () => {
    throw new Retry({ args: [() => 1] });
  });
  add('snooze', (context: TaskContext) => context.snooze('3s'), { bind: true });
  add('ignore', () => {
    throw new Ignore();
  });
  add('reject', () => {
    throw new Reject('not mine', { requeue: true, cause: new Moody('why') });
  });
}

function addTalking(add: Add): void {
  add(
    'facts',
    (...given: readonly unknown[]) => {
      const context = given.at(-1) as TaskContext;
      const { id, name, queue, attempt, retries, maxRetries, fence, worker, rootId, parentId, headers } = context;
      const bare = Object.getPrototypeOf(headers) === null;
      const deadline = context.deadline?.getTime();
      return {
        id,
        name,
        queue,
        attempt,
        retries,
        maxRetries,
        fence,
        worker,
        rootId,
        parentId,
        headers,
        bare,
        deadline,
        args: [...context.args],
      };
    },
    { bind: true, retry: { max: 7 } },
  );
  add(
    'progress',
    async (context: TaskContext) => {
      await context.progress({ done: 1 });
      await context.progress({ done: 2 });
      return 'done';
    },
    { bind: true },
  );
  add(
    'until-told',
    async (context: TaskContext) => {
      await context.progress('started');
      await new Promise<void>((resolve) => {
        if (context.signal.aborted) resolve();
        context.signal.addEventListener('abort', () => resolve());
      });
      const { reason } = context.signal as { reason: unknown };
      return { ours: isTaskQueueError(reason), code: (reason as { code?: string }).code, text: String(reason) };
    },
    { bind: true },
  );
  add(
    'give-up',
    async (context: TaskContext) => {
      await context.progress('started');
      for (;;) await context.heartbeat();
    },
    { bind: true },
  );
}

function addDeadly(add: Add): void {
  add(
    'spin',
    async (context: TaskContext) => {
      await context.progress('started');
      for (;;);
    },
    { bind: true },
  );
  add(
    'hang',
    async (context: TaskContext) => {
      await context.progress('started');
      await new Promise(() => setInterval(() => undefined, 60_000));
    },
    { bind: true },
  );
  add('exit', (code: number) => process.exit(code));
  add('throw-late', () => {
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
    return new Promise(() => setInterval(() => undefined, 60_000));
  });
}
