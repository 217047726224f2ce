import { randomUUID } from 'node:crypto';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import { PythonError } from './python-peer.js';
import type { Scene } from './scene.js';

const TIMEOUT = '20s';

/** Plain calls of either side that the other side runs. */
export function callScenarios(scene: () => Scene): void {
  describe('a call', () => {
    it.concurrent('Python calls Node with args and kwargs', async () => {
      const { python } = scene();
      expect(await python.run("js('echo', 1, [2.5, None], third={'deep': True}).delay().get(timeout=20)")).toEqual({
        args: [1, [2.5, null]],
        kwargs: { third: { deep: true } },
      });
    });

    it.concurrent('Node calls Python with args and kwargs', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask(
        'py.echo',
        [1, [2.5, null]],
        { third: { deep: true } },
        {
          queue: pythonQueue,
        },
      );
      expect(await handle.get({ timeout: TIMEOUT })).toEqual({
        args: [1, [2.5, null]],
        kwargs: { third: { deep: true } },
      });
    });

    const texts = ['grüße 東京 🐢', 'quote " backslash \\ newline \n tab \t', '\u2028\u0000 end'];

    it.concurrent('Python calls Node with unicode, and has it back', async () => {
      const { python } = scene();
      const echoed = await python.run("js('echo', *texts).delay().get(timeout=20)['args']", { texts });
      expect(echoed).toEqual(texts);
    });

    it.concurrent('Node calls Python with unicode, and has it back', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.echo', texts, {}, { queue: pythonQueue });
      expect(await handle.get({ timeout: TIMEOUT })).toEqual({ args: texts, kwargs: {} });
    });

    it.concurrent('Python calls Node with a date', async () => {
      const { python } = scene();
      const source = `
from datetime import datetime, timezone
js('when', datetime(2024, 2, 29, 12, 30, tzinfo=timezone.utc)).delay().get(timeout=20)`;
      expect(await python.run(source)).toBe(Date.UTC(2024, 1, 29, 12, 30) / 1_000);
    });

    it.concurrent('Node calls Python with a date', async () => {
      const { node, pythonQueue } = scene();
      const date = new Date(Date.UTC(2024, 1, 29, 12, 30));
      const handle = await node.sender.sendTask('py.when', [date], {}, { queue: pythonQueue });
      expect(await handle.get({ timeout: TIMEOUT })).toBe(date.getTime() / 1_000);
    });

    it.concurrent('Python calls Node with integers beyond 2^53', async () => {
      const { python } = scene();
      expect(await python.run("js('echo', 2**70).delay().get(timeout=20)['args'] == [2**70]")).toBe(true);
    });
  });
}

/** How a task ends, as the other side sees it. */
export function outcomeScenarios(scene: () => Scene): void {
  describe('an outcome', () => {
    it.concurrent('Python sees an exception of Node with its type, message and traceback', async () => {
      const { python } = scene();
      const error = await python
        .run("js('fail', 'no such order').delay().get(timeout=20)")
        .catch((thrown: unknown) => thrown as PythonError);
      expect(error).toBeInstanceOf(PythonError);
      expect(error).toMatchObject({ type: 'RangeError', args: ['no such order'] });
      const source = "r = js('fail', 'again').delay()\nr.get(timeout=20, propagate=False)\n[r.state, r.traceback]";
      const [state, traceback] = await python.run<[string, string]>(source);
      expect(state).toBe('FAILURE');
      expect(traceback).toContain('RangeError: again');
      expect(traceback).toContain('node-peer');
    });

    it.concurrent("Python sees an application's own exception of Node by its name", async () => {
      const { python } = scene();
      const error = await python
        .run("js('fail_own', 7, 'late').delay().get(timeout=20)")
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ type: 'OrderError', args: ['7: late'] });
    });

    it.concurrent('Node sees an exception of Python with its type, message and traceback', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.fail', ['no such order'], {}, { queue: pythonQueue });
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({
        code: 'TASK_FAILED',
        failure: { type: 'ValueError', module: 'builtins', message: 'no such order' },
      });
      const failure = await handle.error();
      expect(failure?.stack).toContain('Traceback (most recent call last)');
      expect(failure?.stack).toContain('tasks.py');
    });

    it.concurrent("Node sees an application's own exception of Python with all its arguments", async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.fail_own', [7, 'late'], {}, { queue: pythonQueue });
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({
        failure: { type: 'OrderError', module: 'tasks', message: "(7, 'late')" },
      });
    });

    it.concurrent('Node runs what Python sent again when its task asks for a retry', async () => {
      const { python } = scene();
      expect(await python.run("js('retry_once').delay().get(timeout=20)")).toBe(1);
    });

    it.concurrent('Python runs what Node sent again when its task asks for a retry', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.retry_once', [], {}, { queue: pythonQueue });
      expect(await handle.get({ timeout: TIMEOUT })).toBe(1);
    });

    it.concurrent('Node keeps no result of a call that Python sent with ignore_result', async () => {
      const { python, node } = scene();
      const id = await python.run<string>("js('note', 'unheard', run).apply_async(ignore_result=True).id", {
        run: randomUUID(),
      });
      await eventually(() =>
        expect(node.events).toContainEqual(
          expect.objectContaining({ type: 'task-succeeded', task: expect.objectContaining({ id }) as unknown }),
        ),
      );
      expect(await python.run('result(id).state', { id })).toBe('PENDING');
    });

    it.concurrent('Python keeps no result of a call that Node sent with ignoreResult', async () => {
      const { node, pythonQueue } = scene();

      const mark = randomUUID();
      const handle = await node.sender.sendTask('py.note', [mark], {}, { queue: pythonQueue, ignoreResult: true });
      await eventually(() => expect(scene().ledger()).toContain(`note ${mark}`), 20_000);
      expect(await handle.state()).toBe('PENDING');
    });

    it.concurrent('Python is told that Node has no task of the name', async () => {
      const { python } = scene();
      await expect(python.run("js('nowhere').delay().get(timeout=20)")).rejects.toMatchObject({
        type: 'NotRegistered',
        args: ['js.nowhere'],
      });
    });

    it.concurrent('Python sees a call that Node rejects as failed, and Node as rejected', async () => {
      const { node, python } = scene();
      const source =
        "r = js('refuse', 'not for sale').delay()\nr.get(timeout=20, propagate=False)\n[r.id, r.state, str(r.result)]";
      const [id, state, text] = await python.run<[string, string, string]>(source);
      expect(state).toBe('FAILURE');
      expect(text).toContain('not for sale');
      const handle = await node.sender.sendTask('js.refuse', ['not for sale']);
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({ code: 'TASK_REJECTED' });
      expect(id).not.toBe(handle.id);
    });

    it.concurrent('Node is told that Python has no task of the name', async () => {
      const { node, pythonQueue } = scene();
      const handle = await node.sender.sendTask('py.nowhere', [], {}, { queue: pythonQueue });
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({
        failure: { type: 'NotRegistered', message: 'py.nowhere' },
      });
    });
  });
}
