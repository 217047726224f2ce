import assert from 'node:assert/strict';
import type { QueueFacts, QueueInspector } from '../ports/queue-inspector.js';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { idsOf, message, receive, receiveNothing, record, settle } from './context.js';

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

  describe('inspector', () => {
    it('lists a declared queue that is empty', async () => {
      const queue = await context.queue();
      const { ready, delayed, leased, dead, paused, oldestReadyMs } = await facts(queue);
      assert.deepEqual([ready, delayed, leased, dead, paused, oldestReadyMs], [0, 0, 0, 0, false, undefined]);
    });

    it('counts a message in exactly one state at each step of its life', async () => {
      const queue = await context.queue();
      const counts = async (): Promise<number[]> => {
        const { ready, delayed, leased, dead } = await facts(queue);
        return [ready, delayed, leased, dead];
      };
      await context.publish(message(queue), message(queue), message(queue, { delayMs: 60_000 }));
      assert.deepEqual(await counts(), [2, 1, 0, 0]);
      assert(((await facts(queue)).oldestReadyMs ?? -1) >= 0);
      const consumer = await context.consumer([queue]);
      const [first, second] = await receive(consumer, 2);
      assert(first && second);
      assert.deepEqual(await counts(), [0, 1, 2, 0]);
      await settle(consumer, { kind: 'dead-letter', delivery: first, reason: 'because' });
      assert.deepEqual(await counts(), [0, 1, 1, 1]);
      await settle(consumer, { kind: 'release', delivery: second });
      assert.deepEqual(await counts(), [1, 1, 0, 1]);
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
      const [waiting] = await inspector().peek({ queue, status: 'delayed', limit: 10 });
      assert.equal(waiting?.id, later);
      assert((waiting?.eta ?? 0) > Date.now() + 30_000);
      assert.equal((await receive(await context.consumer([queue]), 2)).length, 2);
      assert.equal((await inspector().peek({ queue, status: 'leased', limit: 10 })).length, 2);
    });

    it('purges what waits and leaves what is leased', async () => {
      const queue = await context.queue();
      await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [held] = await receive(consumer, 1);
      await context.publish(message(queue), message(queue, { delayMs: 60_000 }));
      assert.equal(await inspector().purge(queue), 2);
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
      await context.driver.results?.put([record(id, { state: 'SUCCESS', run: again.run })]);
      await eventually(async () => assert.equal((await context.driver.results?.get([id]))?.[0]?.state, 'SUCCESS'));
    });
  });
}
