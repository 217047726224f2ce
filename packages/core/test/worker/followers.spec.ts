import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { Signature } from '../../src/canvas/signature.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { eventually } from '../../src/testing/eventually.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

describe('followers', () => {
  it('run with the result prepended, unless they are immutable', async () => {
    const queue = open();
    const got: unknown[][] = [];
    queue.task('first', () => 21);
    queue.task('next', (...args: unknown[]) => got.push(args));
    const worker = await queue.work();
    const link = [new Signature('next', ['a']), new Signature('next', ['b'], {}, {}, true)];
    const handle = await queue.send('first', [], { link });
    await handle.get({ timeout: '5s' });
    await eventually(() => expect(worker.status().processed).toBe(3));
    expect(got).toHaveLength(2);
    expect(got).toContainEqual([21, 'a']);
    expect(got).toContainEqual(['b']);
    expect((await handle.record())?.children).toHaveLength(2);
  });

  it('of a failure get the failed id', async () => {
    const queue = open();
    const failed = deferred<string>();
    queue.task('bad', () => {
      throw new Error('x');
    });
    queue.task('onError', (id: string) => failed.resolve(id));
    await queue.work();
    const handle = await queue.send('bad', [], { linkError: new Signature('onError') });
    expect(await failed.promise).toBe(handle.id);
  });
});

describe('early acknowledgement', () => {
  it('keeps the result and retries by publishing anew', async () => {
    const queue = open();
    queue.task(
      'once',
      (context: TaskContext) => (context.retries === 0 ? context.retry({ countdown: 1 }) : context.retries),
      { bind: true, ack: 'early' },
    );
    await queue.work();
    expect(await (await queue.send('once')).get({ timeout: '5s' })).toBe(1);
  });
});
