import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { isTaskQueueError } from '../../src/errors/errors.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { Ignore, Reject } from '../../src/task/task-signals.js';
import { eventually } from '../../src/testing/eventually.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

describe('a run', () => {
  it('gives its value to who waits', async () => {
    const queue = open();
    queue.task('add', (a: number, b: number) => a + b);
    await queue.work();
    const handle = await queue.send<number>('add', [2, 3]);
    expect(await handle.get({ timeout: '5s' })).toBe(5);
    const record = await handle.record();
    expect(record).toMatchObject({ state: 'SUCCESS', name: 'add', attempts: 1, argsRepr: '(2, 3)', queue: 'default' });
    expect(record?.doneAt).toBeGreaterThanOrEqual(record?.startedAt ?? Infinity);
  });

  it('carries dates, bytes and big integers through the wire', async () => {
    const queue = open();
    queue.task('echo', (...args: unknown[]) => args);
    await queue.work();
    const args = [new Date('2030-01-02T03:04:05.678Z'), Buffer.from('bytes'), 2n ** 60n, { deep: [null, true] }];
    const handle = await queue.send<unknown[]>('echo', args);
    const [date, bytes, big, deep] = await handle.get({ timeout: '5s' });
    expect(date).toEqual(args[0]);
    expect(Buffer.from(bytes as Uint8Array).toString()).toBe('bytes');
    expect(big).toBe(2n ** 60n);
    expect(deep).toEqual({ deep: [null, true] });
  });

  it('that throws fails with its remote stack', async () => {
    const queue = open();
    class PaymentRefused extends Error {
      override name = 'PaymentRefused';
    }
    queue.task('pay', () => {
      throw new PaymentRefused('no money');
    });
    await queue.work();
    const handle = await queue.send('pay');
    const error = await handle.get({ timeout: '5s' }).catch((caught: unknown) => caught);
    expect(isTaskQueueError(error, 'TASK_FAILED')).toBe(true);
    expect(error).toMatchObject({ taskId: handle.id, failure: { type: 'PaymentRefused', message: 'no money' } });
    expect((error as Error).cause).toMatchObject({ name: 'PaymentRefused', message: 'no money' });
    expect((await handle.error())?.stack).toContain('outcomes.spec');
  });

  it('is retried for the errors that the policy names, and no others', async () => {
    const queue = open();
    const attempts: number[] = [];
    const retry = { for: [RangeError], notFor: ['Fatal'], max: 3, delay: 1 };
    queue.task(
      'flaky',
      (context: TaskContext) => {
        attempts.push(context.attempt);
        if (context.attempt < 3) throw new RangeError('again');
        return context.retries;
      },
      { bind: true, retry },
    );
    queue.task(
      'fatal',
      () => {
        throw Object.assign(new RangeError('no'), { name: 'Fatal' });
      },
      { retry },
    );
    await queue.work();
    expect(await (await queue.send('flaky')).get({ timeout: '5s' })).toBe(2);
    expect(attempts).toEqual([1, 2, 3]);
    const fatal = await queue.send('fatal');
    await expect(fatal.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_FAILED' });
    expect(await fatal.attempts()).toBe(1);
  });

  it('fails with its last error when no retry is left', async () => {
    const queue = open();
    let runs = 0;
    queue.task(
      'never',
      () => {
        runs += 1;
        throw new Error(`attempt ${runs}`);
      },
      { retry: { for: true, max: 2, delay: 1 } },
    );
    await queue.work();
    const handle = await queue.send('never');
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ failure: { message: 'attempt 3' } });
    expect(await handle.attempts()).toBe(3);
    expect(queue.events.filter((event) => event.type === 'task-retried')).toHaveLength(2);
  });

  it('may ask for a retry with other arguments', async () => {
    const queue = open();
    queue.task(
      'page',
      (page: number, context: TaskContext) =>
        page < 3 ? context.retry({ countdown: 1, args: [page + 1], max: 9 }) : page,
      { bind: true },
    );
    await queue.work();
    expect(await (await queue.send('page', [1])).get({ timeout: '5s' })).toBe(3);
  });

  it('that snoozes uses no attempt', async () => {
    const queue = open();
    const attempts: number[] = [];
    queue.task(
      'poll',
      (context: TaskContext) => {
        attempts.push(context.attempt);
        if (attempts.length < 4) context.snooze(1);
        return 'done';
      },
      { bind: true, retry: { max: 0 } },
    );
    await queue.work();
    expect(await (await queue.send('poll')).get({ timeout: '5s' })).toBe('done');
    expect(attempts).toEqual([1, 1, 1, 1]);
  });

  it('that is ignored keeps no result', async () => {
    const queue = open();
    queue.task('skip', () => {
      throw new Ignore();
    });
    await queue.work();
    const handle = await queue.send('skip');
    expect(await handle.get({ timeout: '5s' })).toBeUndefined();
    expect(await handle.state()).toBe('IGNORED');
  });

  it('that rejects goes to the dead letters, or back with requeue', async () => {
    const queue = open();
    let runs = 0;
    queue.task('refuse', () => {
      throw new Reject('not mine');
    });
    queue.task('later', () => {
      runs += 1;
      if (runs === 1) throw new Reject('busy', { requeue: true });
      return runs;
    });
    await queue.work();
    const refused = await queue.send('refuse');
    await expect(refused.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REJECTED' });
    const dead = await queue.driver.inspector?.deadLetters({ limit: 10 });
    expect(dead?.messages).toMatchObject([{ id: refused.id, reason: 'not mine' }]);
    expect(await (await queue.send('later')).get({ timeout: '5s' })).toBe(2);
  });

  it('reports progress', async () => {
    const queue = open();
    const seen = deferred();
    queue.task(
      'long',
      async (context: TaskContext) => {
        await context.progress({ percent: 50 });
        await seen.promise;
        return 'end';
      },
      { bind: true },
    );
    await queue.work();
    const handle = await queue.send('long');
    await eventually(async () => expect(await handle.progress()).toEqual({ percent: 50 }));
    expect(await handle.state()).toBe('PROGRESS');
    seen.resolve();
    expect(await handle.get({ timeout: '5s' })).toBe('end');
    expect(await handle.progress()).toEqual({ percent: 50 });
  });

  it('whose value cannot be kept fails and does not run again', async () => {
    const queue = open();
    let runs = 0;
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    queue.task(
      'odd',
      (which: string) => {
        runs += 1;
        return { cyclic, symbol: Symbol('x'), fn: () => 1, nan: Number.NaN }[which];
      },
      { retry: { for: true, delay: 1 } },
    );
    await queue.work();
    for (const which of ['cyclic', 'symbol', 'fn', 'nan']) {
      const handle = await queue.send('odd', [which]);
      await expect(handle.get({ timeout: '5s' }), which).rejects.toMatchObject({
        failure: { code: 'VALUE_NOT_SERIALIZABLE' },
      });
    }
    expect(runs).toBe(4);
  });

  it('survives everything that can be thrown', async () => {
    const queue = open();
    const hostile = new Proxy(new Error('x'), {
      get() {
        throw new Error('trap');
      },
    });
    const things: unknown[] = [
      'text',
      undefined,
      null,
      42,
      Symbol('s'),
      10n,
      Object.freeze(new Error('frozen')),
      hostile,
      // oxlint-disable-next-line unicorn/no-thenable -- it is thrown to see that it does no harm
      { then: 'no' },
    ];
    queue.task('throw', (index: number) => {
      throw things[index];
    });
    await queue.work();
    for (const index of things.keys()) {
      const handle = await queue.send('throw', [index]);
      await expect(handle.get({ timeout: '5s' }), String(index)).rejects.toMatchObject({ code: 'TASK_FAILED' });
    }
  });

  it('keeps nothing when results are ignored, but errors where asked for', async () => {
    const queue = open();
    queue.task(
      'quiet',
      (fail: boolean) => {
        if (fail) throw new Error('x');
        return 1;
      },
      { ignoreResult: true, storeErrorsEvenIfIgnored: true },
    );
    const worker = await queue.work();
    const good = await queue.send('quiet', [false]);
    const bad = await queue.send('quiet', [true]);
    await eventually(() => expect(worker.status().processed).toBe(2));
    expect(await good.record()).toBeUndefined();
    expect(await bad.state()).toBe('FAILURE');
  });
});

describe('time limits', () => {
  it('abort the signal at the soft limit', async () => {
    const queue = open();
    queue.task(
      'soft',
      (context: TaskContext) =>
        new Promise((_resolve, reject) => {
          context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
        }),
      { bind: true, softTimeLimit: 30, timeLimit: '5s' },
    );
    await queue.work();
    await expect((await queue.send('soft')).get({ timeout: '5s' })).rejects.toMatchObject({
      code: 'SOFT_TIME_LIMIT_EXCEEDED',
    });
  });

  it('record a stuck handler as timed out, open another slot, and let it record nothing later', async () => {
    const queue = open({ worker: { concurrency: 1 } });
    const stuck = deferred();
    const contexts: TaskContext[] = [];
    queue.task(
      'stuck',
      async (context: TaskContext) => {
        contexts.push(context);
        await stuck.promise;
        return 'too late';
      },
      { bind: true, timeLimit: 30 },
    );
    queue.task('next', () => 'ran');
    const worker = await queue.work();
    const handle = await queue.send('stuck');
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    expect(worker.status()).toMatchObject({ stuck: 1, concurrency: 1 });
    expect(await (await queue.send('next')).get({ timeout: '5s' })).toBe('ran');
    await expect(contexts[0]?.progress(1)).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    stuck.resolve();
    await eventually(() => expect(worker.status().stuck).toBe(0));
    expect(await handle.state()).toBe('FAILURE');
    expect(queue.events.some((event) => event.type === 'task-stuck')).toBe(true);
  });

  it('given by the call win over the task', async () => {
    const queue = open();
    queue.task('slow', () => new Promise(() => undefined), { timeLimit: '1h' });
    await queue.work();
    const handle = await queue.send('slow', [], { timeLimit: 20 });
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
  });
});

describe('what must not run', () => {
  it('is refused when its name is unknown', async () => {
    const queue = open();
    await queue.work();
    const handle = await queue.send('nobody.knows');
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
    expect((await queue.driver.inspector?.deadLetters({ limit: 1 }))?.messages[0]?.reason).toContain('unknown task');
  });

  it('ends REVOKED when it has expired', async () => {
    const queue = open();
    let ran = false;
    queue.task('late', () => (ran = true));
    const handle = await queue.send('late', [], { expires: new Date(Date.now() - 1) });
    await queue.work();
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
    expect(ran).toBe(false);
  });

  it('ends REVOKED when it was revoked before it started', async () => {
    const queue = open();
    let ran = false;
    queue.task('gone', () => (ran = true));
    const [waiting, delayed] = [await queue.send('gone'), await queue.send('gone', [], { countdown: '1h' })];
    await waiting.revoke();
    await delayed.revoke();
    await queue.work();
    await expect(waiting.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    await expect(delayed.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    expect(ran).toBe(false);
  });

  it('is stopped through its signal when it is revoked with terminate', async () => {
    const queue = open();
    const started = deferred();
    queue.task(
      'run',
      (context: TaskContext) => {
        started.resolve();
        return new Promise((_resolve, reject) => {
          context.signal.addEventListener('abort', () => reject(new Error('stopped')));
        });
      },
      { bind: true },
    );
    await queue.work();
    const handle = await queue.send('run');
    await started.promise;
    await handle.revoke({ terminate: true });
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
  });
});
