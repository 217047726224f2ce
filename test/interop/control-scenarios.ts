import { randomUUID } from 'node:crypto';
import { ControlBus, systemClock } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import { CommandProcess } from '../../packages/nestjs/test/cli/command.js';
import type { NodePeer } from './node-peer.js';
import type { Scene } from './scene.js';

const busOf = ({ stores }: NodePeer) => new ControlBus({ pubsub: stores.pubsub, clock: systemClock });

/** The command line, run by the Python client. */
const CELERY_COMMAND = `
import subprocess, sys
done = subprocess.run([sys.executable, '-m', 'celery', '-A', 'tasks', *command], capture_output=True, text=True)
{'code': done.returncode, 'out': done.stdout + done.stderr}
`;

/** Commands to workers and their answers, both ways. */
export function controlScenarios(scene: () => Scene): void {
  describe('remote control', () => {
    it.concurrent('Python inspects our worker', async () => {
      const { node, python, nodeQueue } = scene();
      const name = `w${randomUUID()}@js`;
      const worker = await node.work({ name, concurrency: 3 });
      const handle = await node.sender.sendTask('js.sleep', [60]);
      await eventually(async () => {
        const seen = await python.run<Record<string, unknown>>(
          'dict((q, getattr(app.control.inspect([name], timeout=5), q)()[name]) for q in queries)',
          {
            name,
            queries: ['ping', 'active', 'reserved', 'scheduled', 'registered', 'active_queues', 'stats', 'report'],
          },
        );
        expect(seen).toMatchObject({
          ping: { ok: 'pong' },
          reserved: [],
          scheduled: [],
          registered: expect.arrayContaining(['js.add', 'js.sleep']) as string[],
          active_queues: [{ name: nodeQueue }],
          stats: { pid: process.pid, pool: { 'max-concurrency': 3 } },
          report: { ok: expect.stringContaining(nodeQueue) as string },
        });
      });
      const asked = await python.run<{ code: number; out: string }>(CELERY_COMMAND, {
        command: ['inspect', '-d', name, '-t', '5', 'registered'],
      });
      expect(asked.code, asked.out).toBe(0);
      expect(asked.out).toContain('js.add');
      expect(asked.out).toContain('1 node online.');
      await handle.revoke({ terminate: true });
      await worker.stop({ graceMs: 0 });
    });

    it.concurrent('Python resizes our pool, asks for what we do not know, and shuts us down', async () => {
      const { node, python } = scene();
      const name = `w${randomUUID()}@js`;
      const worker = await node.work({ name, concurrency: 2 });
      const say = (method: string, parameters = {}) =>
        python.run<unknown>('app.control.broadcast(method, arguments=a, destination=[name], reply=True, timeout=5)', {
          method,
          a: parameters,
          name,
        });
      expect(await say('pool_grow', { n: 2 })).toEqual([{ [name]: { ok: 'pool will grow' } }]);
      expect(worker.status().concurrency).toBe(4);
      expect(await say('dance')).toEqual([{ [name]: { error: 'unknown command: dance' } }]);
      await python.run('app.control.shutdown(destination=[name])', { name });
      await eventually(() => expect(worker.state).toBe('stopped'), 10_000);
    });

    it.concurrent('Python adds a queue to our worker and takes it off again', async () => {
      const { node, python } = scene();
      const name = `w${randomUUID()}@js`;
      const [own, extra] = [scene().queue('own'), scene().queue('extra')];
      const worker = await node.work({ name, queues: [own], concurrency: 1 });
      const handle = await node.sender.sendTask<number>('js.add', [2, 3], {}, { queue: extra });
      const command = ['control', '-d', name, '-t', '5', 'add_consumer', extra];
      const said = await python.run<{ code: number; out: string }>(CELERY_COMMAND, { command });
      expect(said).toMatchObject({ code: 0, out: expect.stringContaining(`add consumer ${extra}`) as string });
      expect(await handle.get({ timeout: '10s' })).toBe(5);
      expect(worker.status().queues).toEqual([own, extra]);
      const taken = await python.run('app.control.cancel_consumer(queue, destination=[name], reply=True, timeout=5)', {
        queue: extra,
        name,
      });
      expect(taken).toEqual([{ [name]: { ok: `no longer consuming from ${extra}` } }]);
      expect(worker.status().queues).toEqual([own]);
    });

    it.concurrent('Python limits the rate and the time of our tasks, and scales our pool', async () => {
      const { node, python } = scene();
      const name = `w${randomUUID()}@js`;
      const queue = scene().queue('limited');
      const worker = await node.work({ name, queues: [queue], autoscale: '4,1' });
      const control = (call: string): Promise<unknown> =>
        python.run(`app.control.${call}, destination=[name], reply=True, timeout=5)`, { name });
      const says = (ok: string) => [{ [name]: { ok } }];
      const inspected = <T>(method: string): Promise<T> =>
        python.run<T>('getattr(app.control.inspect([name], timeout=5), method)()[name]', { name, method });
      expect(await inspected('registered')).toContain('js.add');
      expect(await control("rate_limit('js.add', '1/m'")).toEqual(says('new rate limit set successfully'));
      expect(await inspected('registered')).toContain('js.add [rate_limit=1/m]');
      const send = (task: string, ...args: unknown[]) => node.sender.sendTask(task, args, {}, { queue });
      await (await send('js.add', 1, 1)).get({ timeout: '10s' });
      const held = await send('js.add', 2, 2);
      // What is behind it goes on.
      await (await send('js.echo', 3)).get({ timeout: '10s' });
      expect(await held.state()).toBe('PENDING');
      expect(await control("rate_limit('js.add', 0")).toEqual(says('rate limit disabled successfully'));
      expect(await control("rate_limit('js.add', 'often'")).toMatchObject([
        { [name]: { error: expect.stringContaining('must be a rate') as string } },
      ]);
      expect(await control("time_limit('js.sleep', soft=0.1, hard=0.2")).toEqual(says('time limits set successfully'));
      await expect((await send('js.sleep', 30)).get({ timeout: '10s' })).rejects.toMatchObject({
        code: expect.stringContaining('TIME_LIMIT_EXCEEDED') as string,
      });
      expect(await control('autoscale(6, 3')).toEqual(says('autoscale now max=6 min=3'));
      await eventually(() => expect(worker.status().concurrency).toBeGreaterThanOrEqual(3));
      expect(await inspected('stats')).toMatchObject({
        autoscaler: { max: 6, min: 3, current: worker.status().concurrency, qty: 0 },
      });
      expect(await control('pool_restart(None')).toMatchObject([
        { [name]: { error: expect.stringContaining('no children') as string } },
      ]);
    });

    it.concurrent('Python revokes tasks of ours by a stamp, for workers that start later too', async () => {
      const { node, python } = scene();
      const name = `w${randomUUID()}@js`;
      const queue = scene().queue('stamped');
      const first = await node.work({ name, queues: [queue] });
      const said = await python.run(
        "app.control.broadcast('revoke_by_stamped_headers', arguments={'headers': {'customer': stamp}}, destination=[name], reply=True, timeout=5)",
        { name, stamp: queue },
      );
      expect(said).toEqual([{ [name]: { ok: expect.stringContaining('flagged as revoked') as string } }]);
      await first.stop();
      const [revoked, other] = await python.run<[string, string]>(
        "[js('add', 1, 1).apply_async(queue=queue, headers={'stamped_headers': ['customer'], 'stamps': {'customer': [stamp]}}).id for stamp in (queue, 'other')]",
        { queue },
      );
      await node.work({ name: `w${randomUUID()}@js`, queues: [queue] });
      expect(await python.run('result(id).get(timeout=10)', { id: other })).toBe(2);
      await eventually(async () => expect(await python.run('result(id).state', { id: revoked })).toBe('REVOKED'));
    });

    it.concurrent('Python is refused by our worker with a secret, unless it only asks', async () => {
      const { node, python } = scene();
      const name = `w${randomUUID()}@js`;
      const secret = randomUUID();
      const worker = await node.work({
        name,
        queues: [scene().queue('secret')],
        controlSecret: secret,
        concurrency: 2,
      });
      const refused = { error: 'This worker does not obey "pool_grow": it is not signed.' };
      expect(await python.run('app.control.ping(destination=[name], timeout=5)', { name })).toEqual([
        { [name]: { ok: 'pong' } },
      ]);
      expect(await python.run('app.control.pool_grow(1, destination=[name], reply=True, timeout=5)', { name })).toEqual(
        [{ [name]: refused }],
      );
      const bus = new ControlBus({ pubsub: node.stores.pubsub, clock: systemClock, secret });
      const answers = await bus.call('pool_grow', {}, { destination: [name], timeout: '5s' });
      expect(answers.get(name)).toEqual({ ok: 'pool will grow' });
      expect(worker.status().concurrency).toBe(3);
    });

    it.concurrent('Node adds a queue to a worker of Python, and limits its tasks', async () => {
      const { node } = scene();
      const [own, extra] = [scene().queue('pyown'), scene().queue('pyextra')];
      await scene().startPython(own);
      const name = `${own}@py`;
      // Signed: a worker of Python's passes that over.
      const bus = new ControlBus({ pubsub: node.stores.pubsub, clock: systemClock, secret: randomUUID() });
      const say = async (method: string, parameters = {}, timeout: '1s' | '10s' = '10s'): Promise<unknown> =>
        (await bus.call(method, parameters, { destination: [name], timeout })).get(name);
      // It says that it is ready before it listens.
      await eventually(async () => expect(await say('ping', {}, '1s')).toEqual({ ok: 'pong' }), 20_000);
      expect(await say('add_consumer', { queue: extra })).toEqual({ ok: `add consumer ${extra}` });
      const handle = await node.sender.sendTask<number>('py.add', [2, 3], {}, { queue: extra });
      expect(await handle.get({ timeout: '10s' })).toBe(5);
      expect(await say('rate_limit', { task_name: 'py.add', rate_limit: '100/m' })).toEqual({
        ok: 'new rate limit set successfully',
      });
      expect(await say('time_limit', { task_name: 'py.sleep', soft: 1, hard: 2 })).toEqual({
        ok: 'time limits set successfully',
      });
      expect(await say('cancel_consumer', { queue: extra })).toEqual({ ok: `no longer consuming from ${extra}` });
      expect(await say('autoscale', { max: 3, min: 1 })).toMatchObject({
        error: expect.stringContaining('Autoscale not enabled') as string,
      });
      expect(await say('pool_restart', { modules: null, reload: false, reloader: null })).toMatchObject({
        error: expect.stringContaining('Pool restarts not enabled') as string,
      });
    });

    it.concurrent(
      'the command line of Node inspects and commands a worker of Python',
      async () => {
        const { node, brokerUrl } = scene();
        const [own, extra] = [scene().queue('pyline'), scene().queue('pyline-extra')];
        await scene().startPython(own);
        const target = ['--broker', brokerUrl, '-d', `${own}@py`, '-t', '5s'];
        const say = (...words: string[]) => new CommandProcess([...words, ...target], {}).ended();
        // It says that it is ready before it listens.
        await eventually(async () => expect(await say('inspect', 'ping')).toMatchObject({ code: 0 }), 30_000);
        expect((await say('inspect', 'registered')).stdout).toContain(`${own}@py  py.add`);
        expect(JSON.parse((await say('inspect', 'stats', '--json')).stdout)).toMatchObject({
          [`${own}@py`]: { pool: { 'max-concurrency': 2 } },
        });
        expect(await say('control', 'add_consumer', extra)).toMatchObject({
          code: 0,
          stdout: expect.stringContaining(`add consumer ${extra}`) as string,
        });
        const handle = await node.sender.sendTask<number>('py.add', [2, 3], {}, { queue: extra });
        expect(await handle.get({ timeout: '10s' })).toBe(5);
        expect(await say('control', 'rate_limit', 'py.add', '100/m')).toMatchObject({ code: 0 });
        expect(await say('control', 'autoscale', '3', '1')).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('Autoscale not enabled') as string,
        });
        expect(await say('control', 'shutdown')).toMatchObject({ code: 0, stdout: `${own}@py was told to end\n` });
        await eventually(async () => expect((await say('inspect', 'ping')).code).toBe(1), 20_000);
      },
      120_000,
    );

    it.concurrent('Node inspects and commands a worker of Python', async () => {
      const { node, pythonQueue } = scene();
      const name = `${pythonQueue}@py`;
      const bus = busOf(node);
      const ask = async (method: string, parameters = {}): Promise<unknown> =>
        (await bus.call(method, parameters, { destination: [name], timeout: '10s' })).get(name);
      expect(await ask('ping')).toEqual({ ok: 'pong' });
      expect(await ask('active_queues')).toMatchObject([{ name: pythonQueue }]);
      expect(await ask('registered')).toEqual(expect.arrayContaining(['py.add']));
      expect(await ask('stats')).toMatchObject({ pool: { 'max-concurrency': 2 } });
      expect(await ask('pool_grow', { n: 1 })).toEqual({ ok: 'pool will grow' });
      expect(await ask('dance')).toMatchObject({ error: expect.any(String) as string });
    });
  });
}
