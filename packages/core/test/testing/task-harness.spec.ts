import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Signature } from '../../src/canvas/signature.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { assertEnqueued, refuteEnqueued } from '../../src/testing/assertions.js';
import { TaskHarness } from '../../src/testing/task-harness.js';

describe('TaskHarness', () => {
  it('runs a task through the real executor', async () => {
    const harness = new TaskHarness().task('greet', (name: string) => `Hello ${name}`);
    expect(await harness.run('greet', ['Ada'])).toMatchObject({ state: 'SUCCESS', value: 'Hello Ada', attempts: 1 });
  });

  it('shows a retry, when the next attempt is due, and its end', async () => {
    let failures = 2;
    const harness = new TaskHarness().task(
      'flaky',
      () => {
        if (failures-- > 0) throw new Error('not yet');
        return 'done';
      },
      { retry: { for: true, max: 5, delay: '1m' } },
    );
    const first = await harness.run('flaky');
    expect(first).toMatchObject({ state: 'RETRY', dueInMs: 60_000, failure: { message: 'not yet' } });
    await harness.advance('59s');
    expect(await harness.outcome(first.id)).toMatchObject({ state: 'RETRY', dueInMs: 1_000 });
    await harness.advance('2m');
    expect(await harness.outcome(first.id)).toMatchObject({ state: 'SUCCESS', value: 'done', attempts: 3 });
  });

  it('moves time for limits of a handler that hangs', async () => {
    const harness = new TaskHarness().task(
      'hang',
      (ctx: TaskContext) =>
        new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))),
      { bind: true, softTimeLimit: '10s' },
    );
    const { id } = await harness.sender.sendTask('hang');
    await harness.advance('11s');
    expect(await harness.outcome(id)).toMatchObject({
      state: 'FAILURE',
      failure: { code: 'SOFT_TIME_LIMIT_EXCEEDED' },
    });
  });

  it('waits for handlers that wait for the real world, and for tasks that were acknowledged early', async () => {
    const { setTimeout: wait } = await import('node:timers/promises');
    const harness = new TaskHarness()
      .task('late', () => wait(5, 'late'))
      .task('early', () => wait(5, 'early'), { ack: 'early' });
    expect(await harness.run('late')).toMatchObject({ value: 'late' });
    expect(await harness.run('early')).toMatchObject({ value: 'early' });
  });

  it('lets a task that was acknowledged early outlive the lease that it has not any more', async () => {
    const harness = new TaskHarness();
    harness.task('long', () => harness.clock.sleep(120_000).then(() => 'done'), { ack: 'early' });
    const { id } = await harness.sender.sendTask('long');
    await harness.advance('3m');
    expect(await harness.outcome(id)).toMatchObject({ state: 'SUCCESS', value: 'done' });
  });

  it('refuses arguments that do not fit', async () => {
    const harness = new TaskHarness().task('send', () => 1, { schema: z.object({ to: z.email() }) });
    await expect(harness.run('send', [{ to: 'x' }])).rejects.toMatchObject({ code: 'TASK_ARGUMENTS_INVALID' });
  });

  it('records what was enqueued, links included, with decoded arguments', async () => {
    const harness = new TaskHarness().task('double', (n: number) => n * 2).task('store', (n: number) => n);
    await harness.run('double', [21], { link: new Signature('store') });
    expect(harness.log.list().map(({ task, args, by }) => [task, args, by])).toEqual([
      ['double', [21], 'client'],
      ['store', [42], 'task'],
    ]);
  });
});

describe('assertEnqueued', () => {
  const when = new Date('2031-05-01T10:00:00Z');

  it('finds a task by what is given', async () => {
    const harness = new TaskHarness();
    await harness.sender.sendTask(
      'mail',
      [{ to: 'a', cc: undefined }, when],
      {},
      {
        queue: 'slow',
        eta: when,
        headers: { tenant: 't1' },
      },
    );
    const found = assertEnqueued(harness.log, {
      task: 'mail',
      args: [{ to: 'a', cc: undefined }, when],
      queue: 'slow',
      eta: when,
      headers: { tenant: 't1' },
    });
    expect(found.args).toEqual([{ to: 'a' }, when]);
    assertEnqueued(harness.log, { task: 'mail', eta: 'later' });
    refuteEnqueued(harness.log, { task: 'mail', queue: 'default' });
    refuteEnqueued(harness.log, { task: 'mail', args: [{ to: 'b' }, when] });
  });

  it('lists what was enqueued instead', async () => {
    const harness = new TaskHarness();
    expect(() => assertEnqueued(harness.log, { task: 'mail', args: [1] })).toThrow(
      'Expected mail(1) to be enqueued. Nothing was enqueued.',
    );
    await harness.sender.sendTask('mail', [2]);
    expect(() => assertEnqueued(harness.log, { task: 'mail', args: [1] })).toThrow(
      /Enqueued:\n {2}- mail\(2\) \[queue default\]/,
    );
    expect(() => refuteEnqueued(harness.log, { task: 'mail' })).toThrow('Expected mail(…) not to be enqueued.');
    harness.log.clear();
    refuteEnqueued(harness.log, { task: 'mail' });
  });
});
