import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ResultBackend } from '../ports/result-backend.js';
import { TASK_STATES, isTerminal, mayReplace } from '../task/task-state.js';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { isCursorRefusal, jsonValue, message, record } from './context.js';

/** Result records. */
export function resultSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const results = (): ResultBackend => {
    assert(context.driver.results);
    return context.driver.results;
  };

  describe('results', () => {
    it('keeps every field', async () => {
      const id = randomUUID();
      const full = record(id, {
        state: 'FAILURE',
        attempts: 3,
        failure: {
          type: 'SmtpError',
          module: 'builtins',
          message: 'zażółć \u2028 "',
          stack: 'at x',
          code: 'E1',
          cause: { type: 'Error', module: 'builtins', message: 'inner' },
        },
        progress: jsonValue({ percent: 50 }),
        queue: 'mail',
        worker: 'worker@host',
        argsRepr: '(42,)',
        kwargsRepr: '{}',
        parentId: randomUUID(),
        rootId: randomUUID(),
        groupId: randomUUID(),
        children: [randomUUID()],
        periodicTaskName: 'nightly',
        startedAt: 1_700_000_000_500,
        doneAt: 1_700_000_001_000,
        expiresAt: Date.now() + 86_400_000,
      });
      assert.deepEqual(await results().put([full]), ['stored']);
      const [read] = await results().get([id]);
      assert(read);
      for (const [field, value] of Object.entries(full)) {
        assert.deepEqual(read[field as keyof typeof read], value, field);
      }
    });

    it('keeps encoded values to the letter', async () => {
      const id = randomUUID();
      const text = JSON.stringify({ text: 'żółw \u0001 🐢', big: '12345678901234567890', nested: [[null]] });
      await results().put([
        record(id, { state: 'SUCCESS', result: { contentType: 'application/json', contentEncoding: 'utf-8', text } }),
      ]);
      assert.equal((await results().get([id]))[0]?.result?.text, text);
    });

    it('answers in order, with undefined for what it never saw', async () => {
      const [a, b] = [randomUUID(), randomUUID()];
      await results().put([record(b), record(a, { state: 'SUCCESS' })]);
      const found = await results().get([a, randomUUID(), b]);
      assert.deepEqual(
        found.map((one) => one?.taskId),
        [a, undefined, b],
      );
    });

    it('only lets states advance, for every pair of states and runs', async () => {
      const pairs: { id: string; current: ReturnType<typeof record>; next: ReturnType<typeof record> }[] = [];
      for (const from of TASK_STATES) {
        for (const to of TASK_STATES) {
          for (const run of [1, 2, 3]) {
            const id = randomUUID();
            pairs.push({
              id,
              current: record(id, { state: from, run: 2 }),
              next: record(id, { state: to, run, worker: 'next' }),
            });
          }
        }
      }
      await results().put(pairs.map((pair) => pair.current));
      const answers = await results().put(pairs.map((pair) => pair.next));
      const found = await results().get(pairs.map((pair) => pair.id));
      pairs.forEach(({ current, next }, index) => {
        const allowed = mayReplace(current, next);
        const what = `${current.state}/2 then ${next.state}/${next.run}`;
        assert.equal(answers[index], allowed ? 'stored' : 'superseded', what);
        assert.equal(found[index]?.state, allowed ? next.state : current.state, what);
        assert.equal(found[index]?.worker, allowed ? 'next' : undefined, what);
      });
    });

    it('keeps the terminal value however often and by whomever it is written again', async () => {
      const id = randomUUID();
      await results().put([record(id, { state: 'SUCCESS', result: jsonValue('first') })]);
      const again = record(id, { state: 'SUCCESS', result: jsonValue('second'), run: 9 });
      assert.deepEqual(await results().put([again]), ['superseded']);
      assert.deepEqual(await context.peer.results?.put([again]), ['superseded']);
      assert.equal((await results().get([id]))[0]?.result?.text, '"first"');
    });

    it('keeps what an earlier state told when a later one is silent about it', async () => {
      const id = randomUUID();
      await results().put([record(id, { state: 'STARTED', createdAt: 111, startedAt: 222 })]);
      await results().put([
        record(id, { state: 'PROGRESS', progress: jsonValue(1), createdAt: undefined, startedAt: undefined }),
      ]);
      await results().put([record(id, { state: 'SUCCESS', createdAt: undefined, doneAt: 333 })]);
      const [read] = await results().get([id]);
      assert.deepEqual([read?.createdAt, read?.startedAt, read?.doneAt], [111, 222, 333]);
      assert.equal(read?.progress?.text, '1');
    });

    it('puts records of one id given in one batch one after another', async () => {
      const id = randomUUID();
      const answers = await results().put([record(id), record(id, { state: 'SUCCESS' }), record(id)]);
      assert.deepEqual(answers, ['stored', 'stored', 'superseded']);
      assert.equal((await results().get([id]))[0]?.state, 'SUCCESS');
    });

    it('forgets', async () => {
      const id = randomUUID();
      await results().put([record(id, { state: 'SUCCESS' })]);
      await results().forget([id, randomUUID()]);
      assert.equal((await results().get([id]))[0], undefined);
    });

    it('removes what has expired, and nothing else', async () => {
      if (results().cleanUp === undefined) return;
      const [old, kept, eternal] = [randomUUID(), randomUUID(), randomUUID()];
      await results().put([
        record(old, { state: 'SUCCESS', expiresAt: Date.now() - 1_000 }),
        record(kept, { state: 'SUCCESS', expiresAt: Date.now() + 60_000 }),
        record(eternal, { state: 'SUCCESS' }),
      ]);
      await eventually(async () => {
        await results().cleanUp?.();
        assert.equal((await results().get([old]))[0], undefined);
      });
      assert.deepEqual(
        (await results().get([kept, eternal])).map((one) => one?.taskId),
        [kept, eternal],
      );
    });

    it('shows a task that waits in its own broker as PENDING', async () => {
      if (results().list === undefined) return;
      const queue = await context.queue();
      const name = `pending.${randomUUID()}`;
      const [id] = await context.publish(message(queue, { task: name }));
      const [read] = await results().get([id as string]);
      assert.deepEqual([read?.state, read?.name, read?.queue], ['PENDING', name, queue]);
      assert(Math.abs((read?.createdAt ?? 0) - Date.now()) < 60_000);
      const page = await results().list?.({ names: [name], limit: 10 });
      assert.deepEqual(
        page?.records.map((one) => [one.taskId, one.state]),
        [[id, 'PENDING']],
      );
    });

    it('lists in pages, newest first, by state and name', async () => {
      if (results().list === undefined) return;
      const name = `list.${randomUUID()}`;
      const ids = Array.from({ length: 7 }, () => randomUUID());
      await results().put(
        ids.map((id, index) =>
          record(id, { name, state: index % 2 === 0 ? 'SUCCESS' : 'FAILURE', createdAt: 1_000 + index }),
        ),
      );
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await results().list?.({ names: [name], limit: 3, ...(cursor === undefined ? {} : { cursor }) });
        assert(page && page.records.length <= 3);
        seen.push(...page.records.map((one) => one.taskId));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      assert.deepEqual(seen, [...ids].reverse());
      const failed = await results().list?.({ names: [name], states: ['FAILURE'], limit: 10 });
      assert.deepEqual(
        failed?.records.map((one) => one.taskId),
        [ids[5], ids[3], ids[1]],
      );
      assert(failed?.records.every((one) => isTerminal(one.state)));
    });

    it('refuses a page that cannot be, and a cursor that no page gave', async () => {
      if (results().list === undefined) return;
      for (const limit of [0, 1_001, 1.5, Number.NaN]) {
        await assert.rejects(async () => results().list?.({ limit }), {
          name: 'UsageError',
          fields: { field: 'limit', value: limit },
        });
      }
      const forged = Buffer.from(JSON.stringify({ createdAt: 'x' })).toString('base64url');
      for (const cursor of ['', 'x', '0', '-1', '9'.repeat(400), 'a.b', '🐢', '\u0000', forged]) {
        await assert.rejects(
          async () => results().list?.({ limit: 1, cursor }),
          isCursorRefusal,
          JSON.stringify(cursor),
        );
      }
    });

    it('takes the cursor of another query for a place in this one, or refuses it', async () => {
      if (results().list === undefined) return;
      const [one, other] = [`list.${randomUUID()}`, `list.${randomUUID()}`];
      const put = (name: string, createdAt: number) => record(randomUUID(), { name, state: 'SUCCESS', createdAt });
      await results().put([put(one, 3_000), put(one, 1_000), put(other, 4_000), put(other, 2_000)]);
      const first = await results().list?.({ names: [one], limit: 1 });
      assert(first?.nextCursor);
      const query = { names: [other], limit: 10, cursor: first.nextCursor };
      const page = await results()
        .list?.(query)
        .catch((error: unknown) => assert(isCursorRefusal(error)));
      if (page !== undefined)
        assert.deepEqual(
          page.records.map((each) => each.createdAt),
          [2_000],
        );
    });

    it('tells a watcher of changes, where it can', async () => {
      if (results().watch === undefined) return;
      const id = randomUUID();
      const controller = new AbortController();
      const seen: string[] = [];
      const watching = (async () => {
        for await (const one of results().watch?.([id], controller.signal) ?? []) {
          seen.push(one.state);
          if (isTerminal(one.state)) return;
        }
      })();
      await eventually(async () => {
        await results().put([record(id, { state: 'PROGRESS', progress: jsonValue(seen.length) })]);
        assert(seen.length > 0);
      });
      await results().put([record(id, { state: 'SUCCESS' })]);
      await watching;
      controller.abort();
      assert.equal(seen.at(-1), 'SUCCESS');
    });
  });
}
