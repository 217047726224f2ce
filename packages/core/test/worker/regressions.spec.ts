import assert from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { eventually } from '../../src/testing/eventually.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

describe('a burst of refused messages', () => {
  it.each([
    ['expired', { expires: new Date(0) }, 'quick'],
    ['unknown', {}, 'nobody.knows'],
  ])('(%s) does not hold up what comes after it', async (_what, options, task) => {
    const queue = open();
    queue.task('quick', () => 1);
    const worker = await queue.work();
    await queue.sender.sendMany(Array.from({ length: 50 }, () => ({ task: 'quick' })));
    await eventually(() => expect(worker.status().processed).toBe(50));
    await queue.sender.sendMany(Array.from({ length: 300 }, () => ({ task, options })));
    const good = await queue.send<number>('quick');
    expect(await good.get({ timeout: '5s' })).toBe(1);
  });
});

describe('a revocation', () => {
  it('of a task that was leased ahead keeps it from starting after revoke has resolved', async () => {
    const queue = open({ worker: { concurrency: 1 } });
    const release = deferred();
    const ran: string[] = [];
    queue.task('quick', (context: TaskContext) => ran.push(context.id), { bind: true });
    queue.task('hold', () => release.promise);
    const worker = await queue.work();
    await queue.sender.sendMany(Array.from({ length: 50 }, () => ({ task: 'quick' })));
    await eventually(() => expect(worker.status().processed).toBe(50));
    await queue.send('hold');
    const victim = await queue.send('quick');
    await eventually(() => expect(worker.status().active).toBe(1));
    await victim.revoke();
    const ranBefore = ran.includes(victim.id);
    release.resolve();
    await expect(victim.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    expect(ranBefore).toBe(false);
    expect(ran).not.toContain(victim.id);
  });

  it('during a run keeps its retry from starting', async () => {
    const queue = open();
    const [started, go] = [deferred(), deferred()];
    let runs = 0;
    queue.task(
      'again',
      async (context: TaskContext) => {
        runs += 1;
        started.resolve();
        await go.promise;
        context.retry({ countdown: 0, max: 5 });
      },
      { bind: true },
    );
    await queue.work();
    const handle = await queue.send('again');
    await started.promise;
    await handle.revoke();
    go.resolve();
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    expect(runs).toBe(1);
  });
});

describe('ignoring results', () => {
  it('is the call’s to decide, either way', async () => {
    const queue = open();
    queue.task('quiet', () => 1, { ignoreResult: true });
    queue.task('loud', () => 2);
    const worker = await queue.work();
    const kept = await queue.send('quiet', [], { ignoreResult: false });
    const dropped = await queue.send('loud', [], { ignoreResult: true });
    expect(await kept.get({ timeout: '5s' })).toBe(1);
    await eventually(() => expect(worker.status().processed).toBe(2));
    expect(await dropped.record()).toBeUndefined();
  });

  it('keeps no REVOKED record either', async () => {
    const queue = open();
    queue.task('quiet', () => 1, { ignoreResult: true });
    const waiting = await queue.send('quiet');
    await waiting.revoke();
    const worker = await queue.work();
    const late = await queue.send('quiet', [], { expires: new Date(0) });
    await eventually(() => expect(worker.status().processed).toBe(1));
    expect([await waiting.record(), await late.record()]).toEqual([undefined, undefined]);
  });

  it('keeps neither the start nor the progress of a run', async () => {
    const queue = open({ worker: { trackStarted: true } });
    const [running, go] = [deferred(), deferred()];
    queue.task(
      'quiet',
      async (context: TaskContext) => {
        await context.progress({ percent: 50 });
        running.resolve();
        await go.promise;
      },
      { bind: true, ignoreResult: true },
    );
    const worker = await queue.work();
    const handle = await queue.send('quiet');
    await running.promise;
    expect(await handle.state()).toBe('PENDING');
    go.resolve();
    await eventually(() => expect(worker.status().processed).toBe(1));
    expect(await handle.record()).toBeUndefined();
  });

  it.each([
    [true, 'FAILURE'],
    [false, undefined],
  ])('keeps the failure of a message that cannot be run if storeErrorsEvenIfIgnored is %s', async (stores, state) => {
    const queue = open();
    queue.task('quiet', () => 1, { ignoreResult: true, storeErrorsEvenIfIgnored: stores });
    const { id } = await queue.send('quiet');
    const [sound] = (await queue.driver.inspector?.peek({ queue: 'default', status: 'ready', limit: 1 })) ?? [];
    assert(sound);
    await queue.driver.inspector?.purge('default');
    await queue.stores.broker.publish([{ ...sound, message: { ...sound.message, body: Buffer.from('{') } }]);
    await queue.work();
    const dead = () => queue.driver.inspector?.deadLetters({ limit: 1 });
    await eventually(async () => expect((await dead())?.messages[0]?.id).toBe(id));
    const [record] = (await queue.driver.results?.get([id])) ?? [];
    expect(record?.state).toBe(state);
  });
});

describe('a call', () => {
  it.each([
    [{ contdown: '1h' }, 'contdown'],
    [{ retry: { max: 'x' } }, 'retry.max'],
    [{ softTimeLimit: '2s', timeLimit: '1s' }, 'softTimeLimit'],
    [{ ignoreResult: 'no' }, 'ignoreResult'],
    [{ taskId: '' }, 'taskId'],
  ])('with %j is refused and names %s', async (options, field) => {
    const queue = open();
    await expect(queue.send('t', [], options as never)).rejects.toMatchObject({
      code: 'TASK_OPTIONS_INVALID',
      fields: { field },
    });
  });

  it('whose arguments are no list is refused', async () => {
    const queue = open();
    await expect(queue.send('t', 'text' as never)).rejects.toMatchObject({ code: 'TASK_ARGUMENTS_INVALID' });
  });
});

describe('an id that is used again', () => {
  it('is another task once the first has ended, with a result of its own', async () => {
    const queue = open();
    queue.task('echo', (value: string) => value);
    await queue.work();
    const send = async (value: string) =>
      (await queue.send('echo', [value], { taskId: 'same' })).get({ timeout: '5s' });
    expect([await send('first'), await send('second')]).toEqual(['first', 'second']);
    const [many] = await queue.sender.sendMany([{ task: 'echo', args: ['third'], options: { taskId: 'same' } }]);
    expect(await many?.get({ timeout: '5s' })).toBe('third');
  });
});
