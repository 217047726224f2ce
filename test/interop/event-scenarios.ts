import { randomUUID } from 'node:crypto';
import type { ClusterEvent, PubSub } from '@taskqueue/core';
import { EventDispatcher, EventReceiver, LogicalClock, PublishEvents, sentEvents } from '@taskqueue/core';
import { silentLogger, systemClock } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import type { NodePeer } from './node-peer.js';
import type { Scene } from './scene.js';

const name = (): string => `w${randomUUID()}@js`;

interface WireEvent {
  readonly type: string;
  readonly uuid?: string;
  readonly clock: number;
  readonly [field: string]: unknown;
}

/** A client of ours that tells what it sends. */
function tellingSender(node: NodePeer) {
  const hostname = `gen${randomUUID()}@js`;
  const pubsub = node.stores.pubsub as PubSub;
  const logicalClock = new LogicalClock();
  const dispatcher = new EventDispatcher({ pubsub, hostname, clock: systemClock, logicalClock, logger: silentLogger });
  const events = new PublishEvents(silentLogger);
  events.on(sentEvents(dispatcher));
  return { hostname, sender: node.senderWith({}, events) };
}

/** A worker of ours and a client, on a queue of their own, that tell everything. */
async function tellingPeer(scene: Scene) {
  const node = await scene.openNode(scene.queue(`ev${randomUUID().slice(0, 8)}`));
  const worker = await node.work({ name: name(), events: true, heartbeat: 200, concurrency: 2 });
  return { node, worker, ...tellingSender(node) };
}

/** Events: what workers and clients tell, both ways. */
export function eventScenarios(scene: () => Scene): void {
  describe('events', () => {
    it.concurrent('Python receives the events of our worker and client', async () => {
      const { python } = scene();
      const monitor = `m${randomUUID()}`;
      await python.run('monitor(m)', { m: monitor });
      const { node, worker, sender, hostname } = await tellingPeer(scene());
      const queue = node.queue;
      const ok = await sender.sendTask('js.add', [2, 3], {}, { expires: '1m' });
      const failing = await sender.sendTask('js.fail', ["it's over"]);
      const retrying = await sender.sendTask('js.retry_once');
      const of = (uuid: string) => python.run<WireEvent[]>('monitor(m).of(uuid=u)', { m: monitor, u: uuid });
      const types = async (uuid: string) => (await of(uuid)).map(({ type }) => type).sort();
      const [sent, begun] = ['task-sent', ['task-received', 'task-started']];
      await eventually(async () => {
        expect(await types(ok.id)).toEqual([sent, ...begun, 'task-succeeded'].sort());
        expect(await types(failing.id)).toEqual([sent, ...begun, 'task-failed'].sort());
        expect(await types(retrying.id)).toEqual([sent, ...begun, 'task-retried', ...begun, 'task-succeeded'].sort());
      }, 20_000);
      const byType = new Map((await of(ok.id)).map((event) => [event.type, event]));
      const description = { name: 'js.add', args: '(2, 3)', kwargs: '{}', root_id: ok.id, parent_id: null, retries: 0 };
      const expires = expect.stringMatching(/^\d{4}-.*\+00:00$/) as string;
      const address = { queue, exchange: '', routing_key: queue };
      expect(byType.get('task-sent')).toMatchObject({ hostname, ...description, eta: null, expires, ...address });
      expect(byType.get('task-received')).toMatchObject({ hostname: worker.name, ...description, expires });
      const runtime = expect.any(Number) as number;
      expect(byType.get('task-succeeded')).toMatchObject({ pid: process.pid, result: '5', runtime, utcoffset: 0 });
      const failed = (await of(failing.id)).find(({ type }) => type === 'task-failed');
      const traceback = expect.stringContaining('RangeError') as string;
      expect(failed).toMatchObject({ exception: `RangeError('it\\'s over')`, traceback });
      const toldBy = () => python.run<WireEvent[]>('monitor(m).of(hostname=h)', { m: monitor, h: worker.name });
      const beats = expect.objectContaining({ type: 'worker-heartbeat' }) as WireEvent;
      await eventually(async () => expect(await toldBy()).toContainEqual(beats));
      await worker.stop();
      await eventually(async () => {
        const told = await toldBy();
        const own = told.filter(({ type }) => type.startsWith('worker-')).map(({ type }) => type);
        expect([own[0], own.at(-1)]).toEqual(['worker-online', 'worker-offline']);
        const clocks = told.map(({ clock }) => clock);
        expect(clocks).toEqual([...clocks].sort((a, b) => a - b));
      });
    });

    it.concurrent('Python keeps the state of our worker and its tasks, as Flower shows it', async () => {
      const { python } = scene();
      const monitor = `m${randomUUID()}`;
      await python.run('monitor(m)', { m: monitor });
      const { node, worker, sender } = await tellingPeer(scene());
      const ask = <T>(what: string, given: object) => python.run<T>(`monitor(m).${what}`, { m: monitor, ...given });
      const ok = await sender.sendTask('js.add', [2, 3]);
      await ok.get({ timeout: '10s' });
      const failing = await sender.sendTask('js.fail', ['no']);
      const unknown = await sender.sendTask('js.nobody');
      const expired = await sender.sendTask('js.add', [1, 1], {}, { expires: new Date(systemClock.now() - 60_000) });
      const ignored = await sender.sendTask('js.ignored');
      const later = await sender.sendTask('js.add', [1, 1], {}, { countdown: '1h' });
      const sleeping = await sender.sendTask('js.sleep', [60]);
      const task = (id: string) => ask<Record<string, unknown>>('task(u)', { u: id });
      await eventually(async () => {
        expect(await task(ok.id)).toMatchObject({
          name: 'js.add',
          state: 'SUCCESS',
          args: '(2, 3)',
          kwargs: '{}',
          result: '5',
          worker: worker.name,
          root_id: ok.id,
          received: expect.any(Number) as number,
          started: expect.any(Number) as number,
          succeeded: expect.any(Number) as number,
          runtime: expect.any(Number) as number,
          sent: expect.any(Number) as number,
          routing_key: node.queue,
        });
        expect(await task(failing.id)).toMatchObject({ state: 'FAILURE', exception: "RangeError('no')" });
        expect(await task(unknown.id)).toMatchObject({ name: 'js.nobody', state: 'FAILURE', worker: worker.name });
        expect(await task(expired.id)).toMatchObject({ name: 'js.add', state: 'REVOKED' });
        expect(await task(ignored.id)).toMatchObject({ name: 'js.ignored', state: 'IGNORED' });
        expect(await task(later.id)).toMatchObject({
          state: 'PENDING',
          eta: expect.stringContaining('+00:00') as string,
        });
        expect(await task(sleeping.id)).toMatchObject({ state: 'STARTED' });
        expect(await ask('worker(h)', { h: worker.name })).toMatchObject({
          status: 'ONLINE',
          alive: true,
          pid: process.pid,
          freq: 0.2,
          active: 1,
          processed: 5,
          loadavg: [expect.any(Number), expect.any(Number), expect.any(Number)] as number[],
          sw_ident: 'js-taskqueue',
          sw_sys: 'Linux',
        });
      }, 20_000);
      await sleeping.revoke({ terminate: true });
      await eventually(async () => expect(await task(sleeping.id)).toMatchObject({ state: 'REVOKED' }), 10_000);
      await worker.stop({ graceMs: 0 });
      await eventually(async () => {
        expect(await ask('worker(h)', { h: worker.name })).toMatchObject({ status: 'OFFLINE', active: 0 });
      }, 10_000);
      await later.revoke();
    });

    it.concurrent('Python dumps our events with celery events --dump', async () => {
      const dump = await scene().startDump();
      const { worker, sender } = await tellingPeer(scene());
      try {
        const handle = await eventually(async () => {
          // It says that it has started before it hears.
          const one = await sender.sendTask('js.add', [2, 3]);
          await one.get({ timeout: '10s' });
          expect(dump.lines.join('\n')).toContain(worker.name);
          return one;
        }, 20_000);
        const last = await sender.sendTask('js.add', [4, 5]);
        await eventually(() => {
          const lines = dump.lines.filter((line) => line.includes(last.id)).join('\n');
          for (const what of ['task sent', 'task received', 'task started', 'task succeeded']) {
            expect(lines).toContain(what);
          }
          expect(lines).toContain('js.add');
        }, 20_000);
        expect(handle.id).not.toBe(last.id);
      } finally {
        await dump.stop();
      }
    });

    it.concurrent('Python turns the events of our worker on and off', async () => {
      const { python } = scene();
      const monitor = `m${randomUUID()}`;
      await python.run('monitor(m)', { m: monitor });
      const node = await scene().openNode(scene().queue(`ev${randomUUID().slice(0, 8)}`));
      const worker = await node.work({ name: name(), heartbeat: 0 });
      const say = (method: string) =>
        python.run<unknown>('getattr(app.control, method)(destination=[h], reply=True, timeout=10)', {
          method,
          h: worker.name,
        });
      const run = async (): Promise<string> => {
        const handle = await node.sender.sendTask('js.add', [2, 3]);
        await handle.get({ timeout: '10s' });
        return handle.id;
      };
      const count = async (uuid: string) =>
        (await python.run<WireEvent[]>('monitor(m).of(uuid=u)', { m: monitor, u: uuid })).length;
      const before = await run();
      expect(await say('enable_events')).toEqual([{ [worker.name]: { ok: 'task events enabled' } }]);
      expect(await say('enable_events')).toEqual([{ [worker.name]: { ok: 'task events already enabled' } }]);
      const during = await run();
      await eventually(async () => expect(await count(during)).toBe(3), 10_000);
      expect(await say('disable_events')).toEqual([{ [worker.name]: { ok: 'task events disabled' } }]);
      const after = await run();
      // A heartbeat that is asked for comes after everything that was told before.
      await python.run('app.control.heartbeat(destination=[h])', { h: worker.name });
      await eventually(async () => {
        const told = await python.run<WireEvent[]>('monitor(m).of(hostname=h)', { m: monitor, h: worker.name });
        expect(told.at(-1)).toMatchObject({ type: 'worker-heartbeat', processed: 3 });
      }, 10_000);
      expect([await count(before), await count(after)]).toEqual([0, 0]);
    });

    it.concurrent('Python asks our worker all that Flower asks', async () => {
      const { python } = scene();
      const { node, worker, sender } = await tellingPeer(scene());
      const handle = await sender.sendTask('js.sleep', [60]);
      await eventually(() => expect(worker.status().active).toBe(1));
      const methods = ['stats', 'active_queues', 'registered', 'scheduled', 'active', 'reserved', 'revoked', 'conf'];
      const seen = await python.run<Record<string, unknown>>(
        'dict((q, getattr(app.control.inspect([h], timeout=10), q)()[h]) for q in methods)',
        { h: worker.name, methods },
      );
      // What its page of a worker reads; a field that is missing is an error there.
      expect(seen['stats']).toMatchObject({
        total: { 'js.sleep': 1 },
        pid: process.pid,
        pool: { 'max-concurrency': 2 },
        broker: { transport: expect.any(String) as string },
        rusage: { utime: expect.any(Number) as number },
      });
      const [queue] = seen['active_queues'] as Record<string, unknown>[];
      for (const field of ['name', 'exclusive', 'durable', 'routing_key', 'no_ack', 'alias', 'queue_arguments']) {
        expect(queue, field).toHaveProperty(field);
      }
      expect(queue).toMatchObject({ name: node.queue, binding_arguments: null, auto_delete: false });
      const [active] = seen['active'] as Record<string, unknown>[];
      const started = { name: 'js.sleep', id: handle.id, acknowledged: false, worker_pid: process.pid, kwargs: '{}' };
      expect(active).toMatchObject({ ...started, args: '(60,)', time_start: expect.any(Number) as number });
      expect(seen).toMatchObject({ scheduled: [], reserved: [], conf: { defaultQueue: node.queue } });
      expect(seen['revoked']).toEqual(expect.any(Array));
      expect(seen['registered']).toContain('js.sleep');
      await handle.revoke({ terminate: true });
      await worker.stop({ graceMs: 0 });
    });

    it.concurrent('Node receives the events of a worker of Python', async () => {
      const { node } = scene();
      const queue = scene().queue(`py${randomUUID().slice(0, 8)}`);
      const heard: ClusterEvent[] = [];
      const logicalClock = new LogicalClock();
      const receiver = new EventReceiver({ pubsub: node.stores.pubsub, logger: silentLogger, logicalClock });
      const ear = receiver.receive((event) => heard.push(event), { wakeUp: true });
      await ear.ready;
      const worker = await scene().startPython(queue, 1, { events: true });
      const hostname = `${queue}@py`;
      const send = (task: string, args: readonly unknown[], options = {}) =>
        node.senderWith({ headers: 'full' }).sendTask(task, args, {}, { queue, ...options });
      const ok = await send('py.add', [2, 3]);
      const failing = await send('py.fail', ['boom']);
      const retrying = await send('py.retry_once', []);
      const of = (id: string) => heard.filter((event) => 'id' in event && event.id === id);
      const types = (id: string) => of(id).map(({ type }) => type);
      await eventually(() => {
        expect(types(ok.id)).toEqual(['task-received', 'task-started', 'task-succeeded']);
        expect(types(failing.id)).toEqual(['task-received', 'task-started', 'task-failed']);
        expect(types(retrying.id)).toEqual(
          expect.arrayContaining(['task-received', 'task-started', 'task-retried', 'task-succeeded']),
        );
      }, 20_000);
      expect(of(ok.id)[0]).toMatchObject({ hostname, name: 'py.add', args: '(2, 3)', rootId: ok.id, retries: 0 });
      expect(of(ok.id)[2]).toMatchObject({ result: '5', runtimeMs: expect.any(Number) as number });
      const at = of(ok.id)[0]?.at ?? 0;
      expect(Math.abs(at - systemClock.now())).toBeLessThan(60_000);
      const traceback = expect.stringContaining('ValueError: boom') as string;
      expect(of(failing.id)[2]).toMatchObject({ exception: "ValueError('boom')", traceback });
      const facts = { software: 'py-celery', intervalMs: 2_000, system: 'Linux' };
      const own = (type: string) => heard.find((event) => event.type === type && event.hostname === hostname);
      await eventually(() => expect(own('worker-heartbeat')).toMatchObject(facts), 10_000);
      expect(own('worker-online')).toMatchObject({ ...facts, loadAverage: expect.any(Array) as number[] });
      await worker.stop();
      await eventually(() => expect(own('worker-offline')).toMatchObject(facts));
      expect(logicalClock.now).toBeGreaterThan(own('worker-offline')?.clock ?? Infinity);
      await ear.close();
    });
  });
}
