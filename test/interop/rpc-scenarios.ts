import { describe, expect, it } from 'vitest';
import type { Scene } from './scene.js';

/** Results that are sent to whoever called: Celery's `rpc://`. */
export function rpcScenarios(scene: () => Scene): void {
  describe('a result by rpc', () => {
    it.concurrent('Python gets what Node returned', async () => {
      expect(await scene().python.run("js('add', 1, 2).delay().get(timeout=20)")).toBe(3);
    });

    it.concurrent('Node gets what Python returned', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.add', [1, 2], {}, { queue: pythonQueue });
      expect(await handle.get({ timeout: '20s' })).toBe(3);
    });

    it.concurrent('Python gets the exception of Node, with its traceback', async () => {
      const source = "r = js('fail', 'x').delay()\nr.get(timeout=20, propagate=False)\n[r.state, r.traceback]";
      const [state, traceback] = await scene().python.run<[string, string]>(source);
      expect(state).toBe('FAILURE');
      expect(traceback).toContain('RangeError: x');
    });

    it.concurrent('Node gets the exception of Python, with its traceback', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.fail', ['x'], {}, { queue: pythonQueue });
      await expect(handle.get({ timeout: '20s' })).rejects.toMatchObject({
        failure: { type: 'ValueError', message: 'x', stack: expect.stringContaining('tasks.py') as unknown },
      });
    });

    it.concurrent('Python gets the result of a task that Node tried again', async () => {
      expect(await scene().python.run("js('retry_once').delay().get(timeout=20)")).toBe(1);
    });

    it.concurrent('Node gets the result of a task that Python tried again', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.retry_once', [], {}, { queue: pythonQueue });
      expect(await handle.get({ timeout: '20s' })).toBe(1);
    });

    it.concurrent('Python gets the result of a chain with steps on both', async () => {
      const source = "chain(js('add', 1, 1), add.s(2).set(queue=queue), js('add', 3))().get(timeout=20)";
      expect(await scene().python.run(source, { queue: scene().pythonQueue })).toBe(7);
    });

    it.concurrent('Python gets the failure of a chain that failed on Node', async () => {
      const source = "chain(js('fail', 'x'), js('add', 3))().get(timeout=20, follow_parents=False)";
      await expect(scene().python.run(source)).rejects.toMatchObject({ type: 'RangeError' });
    });

    it.concurrent('Python gets the results of a group with members on both', async () => {
      const source = "group(js('add', 1, 1), add.s(2, 2), js('add', 3, 3))().get(timeout=20)";
      expect(await scene().python.run(source)).toEqual([2, 4, 6]);
    });

    it.concurrent('Python is told that Node refused its task', async () => {
      await expect(scene().python.run("js('nowhere').delay().get(timeout=20)")).rejects.toMatchObject({
        type: 'NotRegistered',
      });
    });
  });
}
