import assert from 'node:assert/strict';
import type { QueueFact, QueueFacts, QueueInspector } from '../ports/queue-inspector.js';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { idsOf, isCursorRefusal, message, receive, receiveNothing, record, settle } from './context.js';

/** What operators see and do. */
export function inspectorSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const inspector = (): QueueInspector => {
    assert(context.driver.inspector);
    return context.driver.inspector;
  };
  const facts = async (queue: string): Promise<QueueFacts> => {
    const found = (await inspector().queues()).find((one) => one.name === queue);
    assert(found, `queue ${queue} is not listed`);
    return found;
  };

  const tells = (fact: QueueFact): boolean => inspector().cannotTell?.includes(fact) !== true;
  const refusesToPeek = async (queue: string, status: 'delayed' | 'leased'): Promise<void> => {
    await assert.rejects(async () => inspector().peek({ queue, status, limit: 10 }), {
      code: 'CAPABILITY_UNSUPPORTED',
    });
  };

  describe('inspector', () => {
    it('lists a declared queue that is empty', async () => {
      const queue = await context.queue();
      const { ready, delayed, leased, dead, paused, oldestReadyMs } = await facts(queue);
      const none = [0, tells('delayed') ? 0 : undefined, tells('leased') ? 0 : undefined, 0, false, undefined];
      assert.deepEqual([ready, delayed, leased, dead, paused, oldestReadyMs], none);
    });

    it('counts a message in exactly one state at each step of its life', async () => {
      const queue = await context.queue();
      // What was given back, or settled, may be seen a moment later.
      const countsAre = (ready: number, delayed: number, leased: number, dead: number): Promise<void> =>
        eventually(async () => {
          const seen = await facts(queue);
          assert.deepEqual([seen.ready, seen.dead], [ready, dead]);
          assert.equal(seen.delayed, tells('delayed') ? delayed : undefined);
          assert.equal(seen.leased, tells('leased') ? leased : undefined);
        });
      await context.publish(message(queue), message(queue), message(queue, { delayMs: 60_000 }));
      await countsAre(2, 1, 0, 0);
      if (tells('oldestReadyMs')) assert(((await facts(queue)).oldestReadyMs ?? -1) >= 0);
      const consumer = await context.consumer([queue]);
      const [first, second] = await receive(consumer, 2);
      assert(first && second);
      await countsAre(0, 1, 2, 0);
      await settle(consumer, { kind: 'dead-letter', delivery: first, reason: 'because' });
      await countsAre(0, 1, 1, 1);
      await settle(consumer, { kind: 'release', delivery: second });
      await countsAre(1, 1, 0, 1);
    });

    it('peeks without taking', async () => {
      const queue = await context.queue();
      const ids = await context.publish(message(queue, { priority: 3 }), message(queue));
      const [later] = await context.publish(message(queue, { delayMs: 60_000 }));
      const seen = await inspector().peek({ queue, status: 'ready', limit: 10 });
      assert.deepEqual(
        seen.map((one) => one.id),
        ids,
      );
      assert.deepEqual([seen[0]?.task, seen[0]?.priority, seen[0]?.queue], ['conformance.task', 3, queue]);
      assert.equal((await inspector().peek({ queue, status: 'ready', limit: 1 })).length, 1);
      if (tells('delayed')) {
        const [waiting] = await inspector().peek({ queue, status: 'delayed', limit: 10 });
        assert.equal(waiting?.id, later);
        assert((waiting?.eta ?? 0) > Date.now() + 30_000);
      } else await refusesToPeek(queue, 'delayed');
      const deliveries = await receive(await context.consumer([queue]), 2);
      assert.deepEqual(new Set(idsOf(deliveries)), new Set(ids));
      if (tells('leased')) assert.equal((await inspector().peek({ queue, status: 'leased', limit: 10 })).length, 2);
      else await refusesToPeek(queue, 'leased');
    });

    it('purges what waits and leaves what is leased', async () => {
      const queue = await context.queue();
      await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [held] = await receive(consumer, 1);
      await context.publish(message(queue), message(queue, { delayMs: 60_000 }));
      assert.equal(await inspector().purge(queue), tells('delayed') ? 2 : 1);
      assert.equal(await inspector().purge(queue), 0);
      assert(held);
      assert.equal(await settle(consumer, { kind: 'ack', delivery: held }), 'settled');
    });

    it('pauses a queue for every consumer, and resumes it', async () => {
      const queue = await context.queue();
      await inspector().pause(queue);
      assert.equal((await facts(queue)).paused, true);
      const ids = await context.publish(message(queue));
      const consumer = await context.consumer([queue], { driver: context.peer });
      await receiveNothing(consumer);
      const waiting = receive(consumer, 1);
      await inspector().resume(queue);
      assert.deepEqual(idsOf(await waiting), ids);
      assert.equal((await facts(queue)).paused, false);
    });

    it('shows dead letters with their reason, newest first, in pages', async () => {
      const queue = await context.queue();
      const ids = await context.publish(message(queue), message(queue), message(queue));
      const consumer = await context.consumer([queue]);
      for (const delivery of await receive(consumer, 3)) {
        await settle(consumer, { kind: 'dead-letter', delivery, reason: `reason ${idsOf([delivery])[0]}` });
      }
      const first = await inspector().deadLetters({ queue, limit: 2 });
      assert.equal(first.messages.length, 2);
      assert(first.nextCursor !== undefined);
      const second = await inspector().deadLetters({ queue, limit: 2, cursor: first.nextCursor });
      assert.equal(second.nextCursor, undefined);
      const all = [...first.messages, ...second.messages];
      assert.deepEqual(new Set(all.map((one) => one.id)), new Set(ids));
      for (const one of all) {
        assert.equal(one.reason, `reason ${one.id}`);
        assert(Math.abs(one.diedAt - Date.now()) < 60_000);
      }
    });

    it('refuses a page of dead letters that cannot be, and a cursor that no page gave', async () => {
      for (const limit of [0, 1_001]) {
        await assert.rejects(async () => inspector().deadLetters({ limit }), {
          name: 'UsageError',
          fields: { field: 'limit', value: limit },
        });
      }
      for (const cursor of ['', 'x', '-1', '9'.repeat(400), 'a.b', '🐢', '\u0000']) {
        await assert.rejects(
          async () => inspector().deadLetters({ limit: 1, cursor }),
          isCursorRefusal,
          JSON.stringify(cursor),
        );
      }
    });

    it('redrives dead letters, which may then end anew', async () => {
      const queue = await context.queue();
      const [id, alive] = await context.publish(message(queue), message(queue));
      assert(id && alive);
      const consumer = await context.consumer([queue]);
      const [delivery, other] = await receive(consumer, 2);
      assert(delivery && other);
      await settle(consumer, { kind: 'dead-letter', delivery, reason: 'x' });
      await context.driver.results?.put([record(id, { state: 'FAILURE', run: delivery.run })]);
      assert.deepEqual(await inspector().redrive([id, alive, 'nobody']), [id]);
      const [again] = await receive(consumer, 1);
      assert(again);
      assert.deepEqual(idsOf([again]), [id]);
      if (context.broker.capabilities.countsLostLeases) assert.equal(again.lostLeases, 0);
      const { results } = context.driver;
      if (results === undefined) return;
      await results.put([record(id, { state: 'SUCCESS', run: again.run })]);
      await eventually(async () => assert.equal((await results.get([id]))[0]?.state, 'SUCCESS'));
    });
  });
}
