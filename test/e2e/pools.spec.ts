import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ControlBus, EventReceiver, TaskClient, TaskQueueRuntime } from '@taskqueue/nestjs';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { alive, closeScenes, GET, PoolScene } from './pool-scene.js';

afterEach(closeScenes);
beforeAll(() => {
  if (!existsSync('packages/nestjs/dist/index.js')) throw new Error('Build the packages first: npx tsc -b');
});

describe.each(['threads', 'prefork'])('a Nest application with --pool %s', (pool) => {
  it('grows while tasks wait, and replaces its children when it is told to', async () => {
    const scene = await (await PoolScene.open(['--pool', pool, '--autoscale', '3,1', '-n', 'w@host'])).runs();
    const bus = scene.app.get(ControlBus);
    const say = async (method: string): Promise<any> =>
      (await bus.call(method, {}, { destination: ['w@host'], timeout: '10s' })).get('w@host');
    const where = async (): Promise<string> => {
      const { pid, thread } = await scene.run<{ pid: number; thread: number }>('where');
      return `${pid}:${thread}`;
    };
    const before = await where();
    expect(await say('stats')).toMatchObject({ pool: { 'max-concurrency': 1 } });
    for (let one = 0; one < 3; one += 1) await scene.send('hash', [5_000]);
    await eventually(async () => {
      expect(await say('stats')).toMatchObject({ pool: { 'max-concurrency': 3 } });
    }, 10_000);
    expect(await say('pool_restart')).toEqual({ ok: 'reload started' });
    await eventually(async () => expect(await say('active')).toEqual([]), 25_000);
    expect(await where()).not.toBe(before);
  });

  it('has everything inside its children that it has in the worker', async () => {
    const scene = await (await PoolScene.open(['--pool', pool, '-c', '2'])).runs();
    expect(await scene.run('greet', [' Ada '])).toBe('Hello Ada!');
    const refused = await scene.send('greet', ['Eve'], { known: 'no' });
    await expect(refused.get(GET)).rejects.toMatchObject({ code: 'TASK_REJECTED' });
    expect(await scene.run('fail', ['forgive'])).toBe('forgiven');
    const failure = await scene.run('fail', ['loudly']).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      failure: { message: 'loudly', stack: expect.stringContaining('pool-program.mjs') },
    });
    expect(await scene.run('talk')).toBe(1);
    await scene.says('said by the task');
    const names = ['TASKQUEUE_URL', 'PATH', 'SECRET'];
    const environment = await scene.run<string[]>('environment');
    expect(names.map((name) => environment.includes(name))).toEqual([true, true, false]);
    const id = await scene.run<string>('send', ['Bob']);
    const sent = scene.app.get(TaskClient).handle(id);
    expect(await sent.get(GET)).toBe('Hello Bob!');
    const client = scene.app.get(TaskClient);
    const scoped = await Promise.all([1, 2].map(() => client.sendTask('Scoped.run')));
    const made = await Promise.all(scoped.map((handle) => handle.get(GET)));
    expect(made).toMatchObject([{ task: 'Scoped.run' }, { task: 'Scoped.run' }]);
    const where = await scene.run<{ pid: number; thread: number }>('where');
    expect([where.pid === scene.worker.pid, where.thread > 0]).toEqual(
      pool === 'threads' ? [true, true] : [false, false],
    );
  });

  it('ends with code 0 at SIGTERM, and its applications are closed', async () => {
    const scene = await (await PoolScene.open(['--pool', pool, '-c', '2'])).runs();
    await eventually(() => expect(scene.output.split('an application has booted')).toHaveLength(4), 25_000);
    await scene.run('greet', ['x']);
    scene.worker.kill('SIGTERM');
    expect(await scene.exitCode()).toBe(0);
    await eventually(() => expect(scene.output.split('an application closes')).toHaveLength(4));
  });

  it('kills a task that spins for ever at its limit, beside which others go on', async () => {
    const scene = await (await PoolScene.open(['-P', pool, '-c', '2'], { TEST_SPIN_LIMIT: '3s' })).runs();
    const spinning = await scene.send('spin');
    for (let count = 0; count < 20; count += 1) expect(await scene.run('greet', [count])).toBe(`Hello ${count}!`);
    await expect(spinning.get(GET)).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    const record = await spinning.record();
    expect((record?.doneAt ?? 0) - (record?.startedAt ?? 0)).toBeLessThan(4_000);
    expect(record?.attempts).toBe(1);
  });

  it('keeps leases and heartbeats alive for longer than a lease beside a task that spins', async () => {
    const env = {
      TEST_SPIN_LIMIT: '9s',
      TASKQUEUE_WORKER_LEASE: '2s',
      TASKQUEUE_WORKER_HEARTBEAT: '500ms',
    };
    const scene = await (await PoolScene.open(['-P', pool, '-c', '2', '-E'], env)).runs();
    const beats: number[] = [];
    const ear = scene.app.get(EventReceiver).receive(({ at }) => beats.push(at), { types: ['worker-heartbeat'] });
    await ear.ready;
    const spinning = await scene.send('spin');
    await eventually(() => expect(existsSync(join(scene.folder, 'spinners'))).toBe(true));
    const [from, other] = [Date.now(), await scene.send('nap', [6_000])];
    expect(await other.get(GET)).toBe(6_000);
    const until = Date.now();
    await expect(spinning.get(GET)).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    for (const handle of [spinning, other]) expect((await handle.record())?.attempts).toBe(1);
    const during = [from, ...beats.filter((at) => at >= from && at <= until), until];
    const gaps = during.slice(1).map((at, index) => at - (during[index] as number));
    expect(Math.max(...gaps)).toBeLessThan(3_000);
    await ear.close();
  });

  it('has the spans of its runs in its children: in the trace of the caller, an attempt linked to the one before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spans-'));
    const file = join(folder, 'spans');
    const scene = await (await PoolScene.open(['-P', pool, '-c', '2'], { TEST_SPANS: file })).runs();
    const [traceId, caller] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
    const handle = await scene.send('again', [], { traceparent: `00-${traceId}-${caller}-01` });
    const pid = await handle.get(GET);
    const spans = await eventually(() => {
      const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
      const all = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      const runs = all.filter(({ name }) => name === 'process Tasks.again');
      expect(runs).toHaveLength(2);
      return runs;
    });
    expect(spans).toMatchObject([
      { traceId, parent: caller, links: [] },
      { traceId, parent: caller, links: [spans[0]?.['spanId']], pid },
    ]);
    rmSync(folder, { recursive: true });
  });

  it('loses only the task that ends its process', async () => {
    const scene = await (await PoolScene.open(['-P', pool, '-c', '2'])).runs();
    const exit = await scene.send('exit');
    for (let count = 0; count < 20; count += 1) expect(await scene.run('greet', [count])).toBe(`Hello ${count}!`);
    await expect(exit.get(GET)).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect((await exit.record())?.attempts).toBe(3);
    expect(scene.worker.exitCode).toBeNull();
  });

  it('does not start where the application boots in no child, and says why', async () => {
    const scene = await PoolScene.open(['-P', pool, '-c', '1'], { TEST_BOOTS_WHILE: '/nowhere' });
    expect(await scene.exitCode()).toBe(1);
    expect(scene.output).toContain('does not boot in the children');
  });
});

describe('prefork', () => {
  it('leaves no orphan when the worker is killed, not even one that spins', async () => {
    const scene = await (await PoolScene.open(['-P', 'prefork', '-c', '2'])).runs();
    await scene.send('spin');
    await eventually(() => expect(readFileSync(join(scene.folder, 'spinners'), 'utf8')).not.toBe(''));
    await eventually(() => expect(scene.children()).toHaveLength(2), 25_000);
    const children = scene.children();
    scene.worker.kill('SIGKILL');
    await eventually(() => expect(children.filter(alive)).toEqual([]), 5_000);
  });

  it('has a child that was stopped when the worker was killed notice as soon as it is continued', async () => {
    const scene = await (await PoolScene.open(['-P', 'prefork', '-c', '1'])).runs();
    const [child] = await eventually(() => {
      const children = scene.children();
      expect(children).toHaveLength(1);
      return children as [number];
    }, 25_000);
    process.kill(child, 'SIGSTOP');
    scene.worker.kill('SIGKILL');
    await scene.exitCode();
    process.kill(child, 'SIGCONT');
    await eventually(() => expect(alive(child)).toBe(false), 5_000);
  });

  it('replaces a child that is killed; its task runs again, and no other does', async () => {
    const scene = await (await PoolScene.open(['-P', 'prefork', '-c', '2'])).runs();
    const spinning = await scene.send('spin');
    const [pid] = await eventually(
      () => readFileSync(join(scene.folder, 'spinners'), 'utf8').match(/\d+/) ?? expect.fail(),
    );
    const other = await scene.send('greet', ['beside']);
    await eventually(() => expect(scene.children()).toHaveLength(2), 25_000);
    const before = scene.children();
    process.kill(Number(pid), 'SIGKILL');
    await eventually(() => expect(scene.children().filter((one) => !before.includes(one))).toHaveLength(1), 1_000);
    expect(await other.get(GET)).toBe('Hello beside!');
    expect((await other.record())?.attempts).toBe(1);
    await eventually(() => expect(readFileSync(join(scene.folder, 'spinners'), 'utf8').match(/\d+/g)).toHaveLength(2));
    await scene.says('signal SIGKILL');
    expect(await spinning.ready()).toBe(false);
    await eventually(() => expect(scene.children()).toHaveLength(2));
  });

  it('ends the worker with code 1 when its application does not boot in children any more', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'pools-')), 'boots');
    writeFileSync(file, '');
    const scene = await (await PoolScene.open(['-P', 'prefork', '-c', '1'], { TEST_BOOTS_WHILE: file })).runs();
    rmSync(dirname(file), { recursive: true });
    const exit = await scene.send('exit');
    const after = await scene.send('greet', ['later']);
    expect(await scene.exitCode()).toBe(1);
    expect(scene.output).toContain('does not boot in the children');
    expect([await exit.ready(), await after.ready()]).toEqual([false, false]);
  });

  it('replaces children after so many tasks', async () => {
    const scene = await (await PoolScene.open(['-P', 'prefork', '-c', '1', '--max-tasks-per-child', '2'])).runs();
    const pids: number[] = [];
    for (let count = 0; count < 4; count += 1) pids.push((await scene.run<{ pid: number }>('where')).pid);
    expect(pids[0]).toBe(pids[1]);
    expect(pids[2]).toBe(pids[3]);
    expect(pids[1]).not.toBe(pids[2]);
    await eventually(() => expect(pids.slice(0, 2).filter(alive)).toEqual([]));
  });
});

describe('threads', () => {
  it('lose only the task that eats up the memory of its thread', async () => {
    const scene = await (await PoolScene.open(['-P', 'threads', '-c', '1'], {}, ['--max-old-space-size=96'])).runs();
    const eating = await scene.send('eat');
    await expect(eating.get({ timeout: '60s' })).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect(scene.output).toContain('out of memory');
    expect(await scene.run('greet', ['survivor'])).toBe('Hello survivor!');
  }, 90_000);
});

describe('an embedded worker', () => {
  it('has no children', async () => {
    const { app } = await PoolScene.open(['--help']);
    const runtime = app.get(TaskQueueRuntime);
    expect(() => runtime.createWorker({ pool: 'prefork' })).toThrow(/worker.pool/);
  });
});
