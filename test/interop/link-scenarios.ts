import { randomUUID } from 'node:crypto';
import { Signature } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import type { Scene } from './scene.js';

const TIMEOUT = '20s';

/** Tasks that follow others. */
export function linkScenarios(scene: () => Scene): void {
  describe('a link', () => {
    it.concurrent('Python links one of its tasks to a task of Node', async () => {
      const { python, pythonQueue } = scene();
      const id = randomUUID();
      const source =
        "js('add', 1, 2).apply_async(link=add.s(10).set(queue=queue, task_id=id))\nresult(id).get(timeout=20)";
      expect(await python.run(source, { queue: pythonQueue, id })).toBe(13);
    });

    it.concurrent('Python hands a trace to Node, which hands it on to what follows in Python', async () => {
      const { python, pythonQueue } = scene();
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      const source = `
first = js('request').apply_async(headers={'traceparent': trace}, link=request.s().set(queue=queue, task_id=id))
[first.get(timeout=20)['headers'].get('traceparent'), result(id).get(timeout=20)['traceparent']]`;
      const seen = await python.run(source, { queue: pythonQueue, id: randomUUID(), trace: traceparent });
      expect(seen).toEqual([traceparent, traceparent]);
    });

    it.concurrent('Node hands a trace to Python', async () => {
      const { node, pythonQueue } = scene();
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      const options = { queue: pythonQueue, headers: { traceparent } };
      const seen = await (await node.sender.sendTask('py.request', [], {}, options)).get({ timeout: TIMEOUT });
      expect(seen).toMatchObject({ traceparent });
    });

    it.concurrent('Node links one of its tasks to a task of Python', async () => {
      const { node, pythonQueue, nodeQueue } = scene();
      const id = randomUUID();
      const link = new Signature('js.add', [10]).set({ queue: nodeQueue, task_id: id });
      await node.sender.sendTask('py.add', [1, 2], {}, { queue: pythonQueue, link });
      expect(await node.sender.handle(id).get({ timeout: TIMEOUT })).toBe(13);
    });

    it.concurrent('Python links an errback of its own to a task of Node', async () => {
      const { python, pythonQueue } = scene();

      const mark = randomUUID();
      const source = "js('fail', 'x').apply_async(link_error=note.s(mark).set(queue=queue)).id";
      const id = await python.run<string>(source, { queue: pythonQueue, mark });
      await eventually(() => expect(scene().ledger()).toContain(`note ${id} ${mark}`), 20_000);
    });

    it.concurrent('Node links an errback of its own to a task of Python', async () => {
      const { node, pythonQueue, nodeQueue } = scene();

      const mark = randomUUID();
      const linkError = new Signature('js.note', [mark]).set({ queue: nodeQueue });
      const { id } = await node.sender.sendTask('py.fail', ['x'], {}, { queue: pythonQueue, linkError });
      await eventually(() => expect(scene().ledger()).toContain(`note ${id} ${mark}`), 20_000);
    });

    it.concurrent('Node tells Python of the children of a task, with root and parent', async () => {
      const { python } = scene();
      const id = randomUUID();
      const source = `
first = js('add', 1, 2).apply_async(link=js('request').set(task_id=id))
seen = result(id).get(timeout=20)
first.get(timeout=20)
[first.id, [child.id for child in result(first.id).children], seen['root_id'], seen['parent_id']]`;
      const [first, children, root, parent] = await python.run<[string, string[], string, string]>(source, { id });
      expect([children, root, parent]).toEqual([[id], first, first]);
    });
  });
}

/** Tasks that are called off. */
export function revocationScenarios(scene: () => Scene): void {
  describe('a revocation', () => {
    it.concurrent('Python revokes a task of Node before it starts', async () => {
      const { python } = scene();

      const mark = randomUUID();
      const id = await python.run<string>("r = js('note', mark).apply_async(countdown=4)\nr.revoke()\nr.id", { mark });
      await expect(python.run('result(id).get(timeout=20)', { id })).rejects.toMatchObject({
        type: 'TaskRevokedError',
        args: ['revoked'],
      });
      expect(scene().ledger()).not.toContain(`note ${mark}`);
    });

    it.concurrent('Python revokes and terminates a task of Node that runs', async () => {
      const { python } = scene();
      const id = await python.run<string>("js('sleep', 60).delay().id");
      await eventually(() => expect(scene().node.events).toContainEqual(started(id)));
      const source = 'result(id).revoke(terminate=True)\nresult(id).get(timeout=20)';
      await expect(python.run(source, { id })).rejects.toMatchObject({
        type: 'TaskRevokedError',
        // Since 5.6 Python's workers record 'revoked' for every revocation that they hear of, and may be first.
        args: [expect.stringMatching(/^(terminated|revoked)$/)],
      });
      await eventually(() => expect(scene().node.events).toContainEqual(terminated(id)));
    });

    it.concurrent('Node revokes a task of Python before it starts', async () => {
      const { node, pythonQueue } = scene();

      const mark = randomUUID();
      const handle = await node.sender.sendTask('py.note', [mark], {}, { queue: pythonQueue, countdown: '3s' });
      await handle.revoke();
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      expect(scene().ledger()).not.toContain(`note ${mark}`);
    });

    it.concurrent('Node revokes and terminates a task of Python that runs', async () => {
      const { node, pythonQueue } = scene();

      const mark = randomUUID();
      const handle = await node.sender.sendTask('py.note_and_sleep', [mark, 60], {}, { queue: pythonQueue });
      await eventually(() => expect(scene().ledger()).toContain(`note ${mark}`), 20_000);
      await handle.revoke({ terminate: true });
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    });
  });
}

function started(id: string): unknown {
  return expect.objectContaining({ type: 'task-started', task: expect.objectContaining({ id }) as unknown });
}

function terminated(id: string): unknown {
  const task = expect.objectContaining({ id }) as unknown;
  return expect.objectContaining({ type: 'task-revoked', task, reason: 'terminated' });
}
