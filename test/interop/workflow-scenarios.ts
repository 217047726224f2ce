import { randomUUID } from 'node:crypto';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import type { Scene } from './scene.js';

/** Workflows that Python sends. `py(...)` sends one of its own tasks on to its own worker, whoever publishes it. */
const PRELUDE = 'py = lambda s: s.set(queue=queue)\n';

/** Chains, groups and chords of Python's with members on either side. */
export function workflowScenarios(scene: () => Scene): void {
  const run = <T = unknown>(source: string, given: Record<string, unknown> = {}): Promise<T> =>
    scene().python.run<T>(PRELUDE + source, { queue: scene().pythonQueue, ...given });

  describe('a workflow of Python', () => {
    it.concurrent('chain: all steps on Node', async () => {
      expect(await run("chain(js('add', 1, 1), js('add', 2), js('add', 3))().get(timeout=20)")).toBe(7);
    });

    it.concurrent('chain: steps on Node and Python in turn, with root and parents', async () => {
      const source = `
r = chain(js('add', 1, 1), py(add.s(2)), js('add', 3), py(request.s()))()
seen = r.get(timeout=20)
[seen['root_id'] == r.parent.parent.parent.id, seen['parent_id'] == r.parent.id, r.parent.get(timeout=20)]`;
      expect(await run(source)).toEqual([true, true, 7]);
    });

    it.concurrent('chain: an immutable step ignores the result before it', async () => {
      const source = "chain(js('add', 1, 1), app.signature('js.add', args=(10, 20), immutable=True))().get(timeout=20)";
      expect(await run(source)).toBe(30);
    });

    it.concurrent('chain: a failure on Node is told to all steps after it, and to their errbacks', async () => {
      const mark = randomUUID();
      const source = `
r = chain(js('fail', 'x'), py(add.s(1)), js('add', 1)).apply_async(link_error=py(note.s(mark)))
r.get(timeout=20, propagate=False)
[r.state, r.parent.state, r.parent.parent.state, r.parent.parent.id]`;
      const [last, middle, first, id] = await run<string[]>(source, { mark });
      expect([last, middle, first]).toEqual(['FAILURE', 'FAILURE', 'FAILURE']);
      await eventually(() => expect(scene().ledger()).toContain(`note ${id} ${mark}`), 20_000);
    });

    it.concurrent('group: members on both', async () => {
      const source = "group(js('add', 1, 1), py(add.s(2, 2)), js('add', 3, 3))().get(timeout=20)";
      expect(await run(source)).toEqual([2, 4, 6]);
    });

    it.concurrent('group: last in a chain that Node has come to', async () => {
      const source = "chain(js('add', 1, 1), group(js('add', 1), py(add.s(2))))().get(timeout=20)";
      expect(await run(source)).toEqual([3, 4]);
    });

    it.concurrent.each([
      ['the body on Python', 'py(total.s())'],
      ['the body on Node', "js('total')"],
    ])('chord: all members on Node, %s', async (_where, body) => {
      expect(await run(`chord([js('add', i, i) for i in range(6)])(${body}).get(timeout=20)`)).toBe(30);
    });

    it.concurrent.each([
      ['the body on Python', 'py(total.s())'],
      ['the body on Node', "js('total')"],
    ])('chord: members on both, many times, %s', async (_where, body) => {
      const source = `
rs = [chord([js('add', i, i), py(add.s(i, i)), js('add', i, 1), py(add.s(i, 2))])(${body}) for i in range(10)]
[r.get(timeout=25) for r in rs]`;
      expect(await run(source)).toEqual(Array.from({ length: 10 }, (_, i) => 6 * i + 3));
    });

    it.concurrent('chord: the body has the results in the order of the members', async () => {
      const source =
        "chord([js('sleep', 0.4), py(add.s(1, 1)), js('sleep', 0.1), js('add', 5, 5)])(js('echo')).get(timeout=20)";
      expect(await run(source)).toEqual({ args: [[0.4, 2, 0.1, 10]], kwargs: {} });
    });

    it.concurrent('chord: a member is tried again', async () => {
      const source = "chord([js('retry_once'), py(retry_once.s()), js('add', 1, 1)])(js('total')).get(timeout=20)";
      expect(await run(source)).toBe(4);
    });

    it.concurrent('chord: a member that ignores its result counts', async () => {
      const source = "chord([js('silent', 5), js('add', 1, 1)])(js('total')).get(timeout=20)";
      expect(await run(source)).toBe(7);
    });

    it.concurrent('chord: in the middle of a chain that Node has come to', async () => {
      const source =
        "chain(js('add', 1, 1), group(js('add', 1), py(add.s(2))), js('total'), py(add.s(100)))().get(timeout=20)";
      expect(await run(source)).toBe(107);
    });

    it.concurrent('chord: in the middle of a chain that Python has come to', async () => {
      const source =
        "chain(py(add.s(1, 1)), group(js('add', 1), py(add.s(2))), js('total'), js('add', 100))().get(timeout=20)";
      expect(await run(source)).toBe(107);
    });

    it.concurrent('chord: of chains', async () => {
      const source = `
chord([chain(js('add', 1, 1), py(add.s(2))), chain(py(add.s(2, 2)), js('add', 3))])(js('total')).get(timeout=20)`;
      expect(await run(source)).toBe(11);
    });

    it.concurrent('chord: in a chord', async () => {
      const source = `
inner = chord([js('add', 2, 2), py(add.s(3, 3))], js('total'))
chord([js('add', 1, 1), inner], py(total.s()))().get(timeout=20)`;
      expect(await run(source)).toBe(12);
    });

    it.concurrent('chord: a member that fails on Node fails the body, and its errbacks hear of it', async () => {
      const mark = randomUUID();
      const source = `
body = js('total').on_error(py(note.s(mark)))
r = chord([js('add', 1, 1), js('fail', 'broken'), js('add', 2, 2)])(body)
try:
    # Of its own: with its parents the exception of the member would come first.
    r.get(timeout=20, follow_parents=False)
except Exception as error:
    seen = [type(error).__name__, str(error), r.id]
seen`;
      const [type, message, id] = await run<string[]>(source, { mark });
      expect(type).toBe('ChordError');
      expect(message).toMatch(/^Dependency [-0-9a-f]+ raised RangeError\(.broken./);
      await eventually(() => expect(scene().ledger()).toContain(`note ${id} ${mark}`), 20_000);
    });

    it.concurrent('chord: a member that fails on Node fails the body, whichever side ends last', async () => {
      const source = `
rs = [chord([py(add.s(1, 1)), js('fail', 'broken'), js('add', 2, 2), py(add.s(2, 2))])(js('total')) for _ in range(5)]
[r.get(timeout=20, follow_parents=False, propagate=False).__class__.__name__ for r in rs]`;
      expect(await run(source)).toEqual(Array.from({ length: 5 }, () => 'ChordError'));
    });

    it.concurrent('chord: a step before its member fails on Node', async () => {
      const source =
        "chord([chain(js('fail', 'x'), js('add', 1)), js('add', 1, 1)])(js('total')).get(timeout=20, follow_parents=False)";
      await expect(run(source)).rejects.toMatchObject({ type: 'ChordError' });
    });

    it.concurrent('chord: a member that has expired on Node', async () => {
      const source =
        "chord([js('add', 1, 1).set(expires=2, countdown=3), js('add', 1, 1)])(js('total')).get(timeout=20, follow_parents=False)";
      await expect(run(source)).rejects.toMatchObject({ type: 'ChordError' });
    });

    it.concurrent('chord: a member that Node has no task for', async () => {
      const source = "chord([js('nowhere'), js('add', 1, 1)])(js('total')).get(timeout=20, follow_parents=False)";
      await expect(run(source)).rejects.toMatchObject({ type: 'ChordError' });
    });

    it.concurrent('chord: none of its keys stay', async () => {
      const source = `
r = chord([js('add', 1, 1), js('add', 2, 2)])(js('total'))
r.get(timeout=20)
import time
until = time.time() + 5
keys = lambda: [k.decode() for k in app.backend.client.keys(f'*{r.parent.id}*')]
while keys() and time.time() < until: time.sleep(0.02)
keys()`;
      expect(await run(source)).toEqual([]);
    });
  });
}
