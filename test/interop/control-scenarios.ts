import { randomUUID } from 'node:crypto';
import { ControlBus, systemClock } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import type { NodePeer } from './node-peer.js';
import type { Scene } from './scene.js';

const busOf = ({ stores }: NodePeer) => new ControlBus({ pubsub: stores.pubsub, clock: systemClock });

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
