import { describe, expect, it } from 'vitest';
import type { TaskContext } from '../../src/task/task-context.js';
import type { TaskOptions } from '../../src/task/task-options.js';
import type { RetryOptions } from '../../src/task/task-signals.js';
import { eventually } from '../../src/testing/eventually.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

/** Runs a task to its end: nothing of it may stay leased. */
async function failureOf(options: TaskOptions, run: (context: TaskContext) => unknown): Promise<unknown> {
  const queue = open();
  queue.task('odd', run as never, { bind: true, ...options });
  await queue.work();
  const handle = await queue.send('odd');
  const failure = await handle.get({ timeout: '5s' }).catch((error: unknown) => error);
  await eventually(async () => {
    const [facts] = (await queue.driver.inspector?.queues()) ?? [];
    expect(facts).toMatchObject({ ready: 0, leased: 0, delayed: 0 });
  });
  expect((await handle.record())?.state).toBe('FAILURE');
  return failure;
}

const throwing = (): boolean => {
  throw new Error('the test itself is broken');
};

describe('a run whose outcome cannot be decided ends as failed, and is settled', () => {
  it.each<[string, RetryOptions, string]>([
    ['a negative wait', { countdown: -1 }, 'retry.countdown'],
    ['a wait that is none', { countdown: 'soon' as never }, 'retry.countdown'],
    ['an instant that is none', { eta: new Date(Number.NaN) }, 'retry.eta'],
    ['attempts that cannot be counted', { max: -1 }, 'retry.max'],
    ['an option that is none', { delay: '1s' } as never, 'retry.delay'],
    ['arguments that are no list', { args: 'again' as never }, 'retry.args'],
    ['keyword arguments that are none', { kwargs: ['again'] as never }, 'retry.kwargs'],
  ])('(retry with %s)', async (_what, retry, field) => {
    const failure = await failureOf({}, (context) => context.retry(retry));
    expect((failure as Error).message).toContain(field);
  });

  it.each<[string, RetryOptions]>([
    ['arguments that cannot be sent', { args: [() => 1] }],
    ['a wait beyond all calendars', { countdown: 1e18 }],
  ])('(retry with %s)', async (_what, retry) => {
    await failureOf({}, (context) => context.retry(retry));
  });

  it('(snooze with a negative wait)', async () => {
    const failure = await failureOf({}, (context) => context.snooze(-1));
    expect((failure as Error).message).toContain('snooze.delay');
  });

  it.each<[string, TaskOptions]>([
    ['retry.for', { retry: { for: [throwing] } }],
    ['throws', { throws: [throwing] }],
  ])('(a test in %s that throws)', async (_what, options) => {
    const failure = await failureOf(options, () => {
      throw new Error('the task');
    });
    expect((failure as Error).message).toContain('the test itself is broken');
  });

  it('keeps what was thrown, also when that is nothing', async () => {
    const failure = await failureOf({ retry: { for: true, max: 0 } }, () => {
      throw undefined;
    });
    expect((failure as Error).message).not.toContain('No retry is left');
  });
});
