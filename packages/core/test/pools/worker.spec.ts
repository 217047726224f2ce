import { describe, expect, it } from 'vitest';
import type { TaskQueueSettingsInit, WorkerSettings } from '../../src/config/settings.js';
import { silentLogger } from '../../src/ambient/logger.js';
import { systemClock } from '../../src/ambient/clock.js';
import * as core from '../../src/index.js';
import { eventually } from '../../src/testing/eventually.js';
import type { QueueUnderTest } from '../worker/worker-under-test.js';
import { queuesUnderTest } from '../worker/worker-under-test.js';
// @ts-expect-error -- plain JavaScript, because children run it as it is
import { registerTasks } from './fixtures/tasks.mjs';
import { childProgram } from './pools-under-test.js';

const open = queuesUnderTest();
const GET = { timeout: '20s' } as const;

/** A worker whose children know the tasks of the fixtures. */
async function working(worker: Partial<WorkerSettings>, rest: TaskQueueSettingsInit = {}): Promise<QueueUnderTest> {
  const queue = open({ ...rest, worker: { concurrency: 1, ...worker } });
  (registerTasks as (of: unknown, registry: unknown) => void)(core, queue.registry);
  await queue.work({}, childProgram());
  return queue;
}
const eventTypes = (queue: QueueUnderTest) => queue.events.map(({ type }) => type);

describe.each(['threads', 'prefork'] as const)('a worker with %s', (pool) => {
  it('runs tasks, follows links, and keeps their results', async () => {
    const queue = await working({ pool, concurrency: 2 });
    const handles = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => queue.send('square', [n])));
    expect(await Promise.all(handles.map((handle) => handle.get(GET)))).toEqual([1, 4, 9, 16, 25, 36]);
    const first = await queue.send('square', [5], { link: new core.Signature('add', [100]) });
    await first.get(GET);
    const [child] = (await first.record())?.children ?? [];
    expect(await queue.sender.handle(child as string).get(GET)).toBe(125);
  });

  it('tells events with the value of a child', async () => {
    const queue = await working({ pool, events: true });
    const heard: string[] = [];
    const { pubsub } = queue.stores;
    const receiver = new core.EventReceiver({ pubsub, logger: silentLogger });
    receiver.receive(({ id, result }) => heard.push(`${id} ${result}`), { types: ['task-succeeded'] });
    const kept = await queue.send('square', [7]);
    await kept.get(GET);
    const unseen = await queue.send('square', [7], { ignoreResult: true });
    await eventually(() => expect(heard).toEqual([`${kept.id} 49`, `${unseen.id} None`]), 10_000);
  });

  it('retries by the error classes of the task, and ends when no retry is left', async () => {
    const queue = await working({ pool });
    expect(await (await queue.send('flaky')).get(GET)).toBe(2);
    expect(eventTypes(queue).filter((type) => type === 'task-retried')).toHaveLength(2);
  });

  it('treats values that cannot be kept as the async pool does', async () => {
    const queue = await working({ pool });
    const failure = await (await queue.send('odd')).get(GET).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'TASK_FAILED', failure: { code: 'VALUE_NOT_SERIALIZABLE' } });
    await queue.send('odd-unseen');
    await eventually(() => expect(eventTypes(queue).filter((type) => type === 'task-succeeded')).toHaveLength(1));
  });

  it('kills a task at its hard limit, records that within a second, and goes on', async () => {
    const queue = await working({ pool });
    const handle = await queue.send('spin-limited');
    const after = await queue.send('square', [3]);
    await expect(handle.get(GET)).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    const record = await handle.record();
    expect((record?.doneAt ?? 0) - (record?.startedAt ?? 0)).toBeLessThan(1_400);
    expect(await after.get(GET)).toBe(9);
  });

  it('tells a task at its soft limit', async () => {
    const queue = await working({ pool });
    await expect((await queue.send('soft')).get(GET)).rejects.toMatchObject({ code: 'SOFT_TIME_LIMIT_EXCEEDED' });
  });

  it('puts a task that kills its child to the dead letters after three, and blames no other', async () => {
    const queue = await working({ pool, concurrency: 2 });
    const poison = await queue.send('exit', [0]);
    const others = await Promise.all([1, 2, 3].map((n) => queue.send('square', [n])));
    await expect(poison.get(GET)).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect((await poison.record())?.attempts).toBe(3);
    expect(await Promise.all(others.map((handle) => handle.get(GET)))).toEqual([1, 4, 9]);
    for (const handle of others) expect((await handle.record())?.attempts).toBe(1);
    const dead = await queue.driver.inspector?.deadLetters({ limit: 10 });
    expect(dead?.messages.map(({ reason }) => reason)).toEqual(['lost 3 workers']);
    const crashes = queue.events.filter((event) => event.type === 'task-crashed');
    expect(crashes.map(({ losses, reason }) => [losses, reason])).toEqual([1, 2, 3].map((n) => [n, 'exit code 0']));
  });

  it('runs a task again that lost its child once, as another attempt', async () => {
    const queue = await working({ pool });
    expect(await (await queue.send('exit-once')).get(GET)).toBe(2);
  });

  it('ends a task that was acknowledged before it ran with its child', async () => {
    const queue = await working({ pool });
    await expect((await queue.send('exit-early')).get(GET)).rejects.toMatchObject({ failure: { code: 'WORKER_LOST' } });
    expect(eventTypes(queue)).not.toContain('task-crashed');
  });

  it('kills what ignores the end of the grace, and hands it back uncounted', async () => {
    const queue = await working({ pool });
    const handle = await queue.send('deaf');
    await eventually(async () => expect(await handle.state()).toBe('PROGRESS'));
    const worker = queue.started[0] as core.Worker;
    const began = performance.now();
    await worker.stop({ graceMs: 300 });
    expect(performance.now() - began).toBeLessThan(8_000);
    const [facts] = (await queue.driver.inspector?.queues()) ?? [];
    expect(facts).toMatchObject({ ready: 1, leased: 0 });
    expect(eventTypes(queue)).not.toContain('task-crashed');
    const pid = Number((await handle.record())?.progress?.text);
    if (pool === 'prefork') expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    else expect(pid).toBe(process.pid);
  });

  it('tells monitors of its processes, and which of them runs what', async () => {
    const queue = await working({ pool, maxTasksPerChild: 9 });
    const bus = new core.ControlBus({ pubsub: queue.stores.pubsub, clock: systemClock });
    const ask = async <T>(method: string): Promise<T> =>
      [...(await bus.call(method, {}, { limit: 1 })).values()][0] as T;
    const handle = await queue.send('deaf');
    await eventually(async () => expect(await handle.state()).toBe('PROGRESS'), 10_000);
    const pid = Number((await handle.record())?.progress?.text);
    expect(await ask('stats')).toMatchObject({ pool: { processes: [pid], 'max-tasks-per-child': 9 } });
    expect(await ask('active')).toMatchObject([{ id: handle.id, worker_pid: pid }]);
  });

  it('replaces a child that has grown too large after its task', async () => {
    const queue = await working({ pool, maxMemoryPerChild: '160mb' });
    const place = async (task: string, args: readonly unknown[] = []) => (await queue.send(task, args)).get(GET);
    const before = [await place('place'), await place('place'), await place('keep', [200 * 1_048_576])];
    const after = [await place('place'), await place('place')];
    expect(new Set(before).size).toBe(1);
    expect(new Set(after).size).toBe(1);
    expect(after[0]).not.toBe(before[0]);
  });

  it('gives children the part of the environment that is allowed', async () => {
    process.env['SECRET_OF_THE_APPLICATION'] = 'x';
    process.env['TENANT_A'] = 'x';
    const queue = await working({ pool, childEnvironment: ['TENANT_*'] });
    const names = (await (await queue.send('environment')).get(GET)) as string[];
    expect(names).toContain('PATH');
    expect(names).toContain('TENANT_A');
    expect(names).not.toContain('SECRET_OF_THE_APPLICATION');
    expect(names.filter((name) => name.startsWith('TASKQUEUE_POOL'))).toEqual([]);
  });

  it('does not start when its children cannot, and says why', async () => {
    const queue = open({ worker: { pool, concurrency: 1 } });
    await expect(queue.work({}, childProgram('--broken'))).rejects.toMatchObject({ code: 'CHILD_BOOT_FAILED' });
  });

  it('needs a program for its children', () => {
    const { stores, registry } = open();
    const settings = core.validateSettings({ worker: { pool } });
    const make = () =>
      new core.Worker({ stores, registry, settings, logger: silentLogger, clock: systemClock, random: () => 0 });
    expect(make).toThrow(/worker.pool: expected async or solo/);
  });
});

describe('a revoked task that ignores its signal', () => {
  it('is killed after a grace', async () => {
    const queue = await working({ pool: 'prefork' });
    const handle = await queue.send('deaf');
    await eventually(async () => expect(await handle.state()).toBe('PROGRESS'));
    await handle.revoke({ terminate: true });
    await expect(handle.get(GET)).rejects.toMatchObject({ code: 'TASK_REVOKED' });
  });
});

describe('a pool that cannot kill', () => {
  it('says so at the start, where a task has a limit', async () => {
    const said: string[] = [];
    const queue = open();
    queue.task('limited', () => 1, { timeLimit: '1s' });
    const { stores, registry, settings } = queue;
    const logger = { ...silentLogger, warn: (text: string) => said.push(text) };
    const worker = new core.Worker({ stores, registry, settings, logger, clock: systemClock, random: () => 0 });
    await worker.start();
    await worker.stop({ graceMs: 0 });
    expect(said.join()).toContain('The async pool cannot kill a handler');
    expect(said.join()).toContain('limited');
  });
});
