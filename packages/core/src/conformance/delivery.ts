import assert from 'node:assert/strict';
import type { ConformanceContext, TestRunner } from './context.js';
import { ackAll, idOf, idsOf, message, receive, receiveNothing, settle } from './context.js';

/** Receiving, and every way to settle. */
export function deliverySuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  describe('receive', () => {
    it('never hands out more than was asked for', async () => {
      const queue = await context.queue();
      await context.publish(...Array.from({ length: 5 }, () => message(queue)));
      const consumer = await context.consumer([queue]);
      const first = await consumer.receive({ max: 2, signal: AbortSignal.timeout(5_000) });
      assert(first.length >= 1 && first.length <= 2);
      assert.deepEqual(await consumer.receive({ max: 0, signal: AbortSignal.timeout(100) }), []);
    });

    it('gives each message to one consumer only', async () => {
      const queue = await context.queue();
      const ids = await context.publish(...Array.from({ length: 40 }, () => message(queue)));
      const consumers = [await context.consumer([queue]), await context.consumer([queue], { driver: context.peer })];
      const seen: string[] = [];
      const signal = AbortSignal.timeout(10_000);
      await Promise.all(
        consumers.map(async (consumer) => {
          while (seen.length < 40 && !signal.aborted) {
            seen.push(
              ...idsOf(await consumer.receive({ max: 5, signal: AbortSignal.any([signal, AbortSignal.timeout(300)]) })),
            );
          }
        }),
      );
      assert.deepEqual(seen.sort(), [...ids].sort());
    });

    it('obeys the signal promptly', async () => {
      const consumer = await context.consumer([await context.queue()]);
      const controller = new AbortController();
      const waiting = consumer.receive({ max: 1, signal: controller.signal });
      const started = performance.now();
      controller.abort();
      assert.deepEqual(await waiting, []);
      assert(performance.now() - started < 1_000);
    });

    it('refuses to receive when it is closed, and lets go of who waits', async () => {
      const consumer = await context.consumer([await context.queue()]);
      const { signal } = new AbortController();
      const waiting = consumer.receive({ max: 1, signal });
      await consumer.close();
      assert.deepEqual(await waiting, []);
      await assert.rejects(consumer.receive({ max: 1, signal }), { code: 'BROKER_UNAVAILABLE' });
    });

    it('wakes up for a message that comes while it waits', async () => {
      const queue = await context.queue();
      const consumer = await context.consumer([queue]);
      const waiting = consumer.receive({ max: 1, signal: AbortSignal.timeout(10_000) });
      const ids = await context.publish(message(queue));
      assert.deepEqual(idsOf(await waiting), ids);
    });

    it('takes from its own queues only', async () => {
      const [mine, other] = [await context.queue(), await context.queue()];
      await context.publish(message(other));
      const ids = await context.publish(message(mine));
      const consumer = await context.consumer([mine]);
      assert.deepEqual(idsOf(await receive(consumer, 1)), ids);
      await receiveNothing(consumer);
    });

    it('prefers queues in the order of the subscription', async () => {
      const [first, second] = [await context.queue(), await context.queue()];
      const late = await context.publish(message(second));
      const early = await context.publish(message(first));
      const consumer = await context.consumer([first, second]);
      assert.deepEqual(idsOf(await receive(consumer, 2)), [...early, ...late]);
    });

    it('takes from the queues of a request only, in their order', async () => {
      const [first, second, third] = [await context.queue(), await context.queue(), await context.queue()];
      const ones = await context.publish(message(first));
      const [twos, threes] = [await context.publish(message(second)), await context.publish(message(third))];
      const consumer = await context.consumer([first, second, third]);
      const signal = AbortSignal.timeout(10_000);
      const taken: string[] = [];
      while (taken.length < 2 && !signal.aborted) {
        taken.push(...idsOf(await consumer.receive({ max: 2 - taken.length, queues: [third, second], signal })));
      }
      assert.deepEqual(taken, [...threes, ...twos]);
      const none = await consumer.receive({ max: 9, queues: [third, second], signal: AbortSignal.timeout(150) });
      assert.deepEqual(idsOf(none), []);
      assert.deepEqual(idsOf(await receive(consumer, 1)), ones);
    });

    it('takes from a queue that the subscription does not name, when a request does', async () => {
      const [mine, added] = [await context.queue(), await context.queue()];
      const consumer = await context.consumer([mine], { leaseMs: 30_000 });
      await receiveNothing(consumer);
      const [id, later] = await context.publish(message(added), message(added));
      const signal = AbortSignal.timeout(10_000);
      const [delivery] = await consumer.receive({ max: 1, queues: [mine, added], signal });
      assert(delivery);
      assert.equal(idOf(delivery), id);
      assert.equal(delivery.queue, added);
      assert.deepEqual(await consumer.extend([delivery], 30_000), ['extended']);
      assert.equal(await settle(consumer, { kind: 'ack', delivery }), 'settled');
      // What it holds when it leaves goes back, also there.
      await consumer.receive({ max: 1, queues: [added], signal });
      await consumer.close();
      const [again] = await receive(await context.consumer([added]), 1);
      assert(again);
      assert.equal(idOf(again), later);
      assert.equal(again.lostLeases ?? 0, 0);
    });

    it('keeps nothing from others that is not in its request, and hears of what is', async () => {
      const [full, open] = [await context.queue(), await context.queue()];
      const consumer = await context.consumer([full, open]);
      const other = await context.consumer([full], { driver: context.peer });
      const waiting = consumer.receive({ max: 1, queues: [open], signal: AbortSignal.timeout(10_000) });
      const kept = await context.publish(message(full));
      assert.deepEqual(idsOf(await receive(other, 1, 3_000)), kept);
      const heard = await context.publish(message(open));
      assert.deepEqual(idsOf(await waiting), heard);
    });

    it('counts the deliveries of a message', async () => {
      const queue = await context.queue();
      await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [first] = await receive(consumer, 1);
      assert(first);
      assert.equal(first.run, 1);
      assert.equal(first.redelivered, false);
      await settle(consumer, { kind: 'release', delivery: first });
      const [second] = await receive(consumer, 1);
      assert.equal(second?.run, 2);
      assert.equal(second?.redelivered, true);
    });
  });

  describe('settle', () => {
    it('removes what is acknowledged', async () => {
      const queue = await context.queue();
      await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      await ackAll(consumer, await receive(consumer, 1));
      await receiveNothing(consumer);
    });

    it('answers lost for a second settlement and changes nothing', async () => {
      const queue = await context.queue();
      await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(delivery);
      assert.equal(await settle(consumer, { kind: 'ack', delivery }), 'settled');
      assert.equal(await settle(consumer, { kind: 'ack', delivery }), 'lost');
      assert.equal(await settle(consumer, { kind: 'release', delivery }), 'lost');
      await receiveNothing(consumer);
    });

    it('puts what is released back at its place, uncounted as lost', async () => {
      const queue = await context.queue();
      const ids = await context.publish(message(queue), message(queue));
      const consumer = await context.consumer([queue]);
      const [first] = await receive(consumer, 1);
      assert(first);
      assert.equal(await settle(consumer, { kind: 'release', delivery: first }), 'settled');
      const again = await receive(consumer, 2);
      const wentToEnd = context.broker.capabilities.releasesToEnd && again[0]?.message.headers.id !== ids[0];
      assert.deepEqual(idsOf(again), wentToEnd ? [...ids].reverse() : ids);
      if (!context.broker.capabilities.countsLostLeases) return;
      for (const one of again) assert.equal(one.lostLeases, 0);
    });

    it('replaces a message by its next form under the same id', async () => {
      const queue = await context.queue();
      const original = message(queue);
      await context.publish(original);
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(delivery);
      const next = message(queue, { id: original.id });
      const headers = { ...next.message.headers, retries: 1 };
      const replacement = { ...next, message: { ...next.message, headers } };
      assert.equal(await settle(consumer, { kind: 'replace', delivery, message: replacement }), 'settled');
      const [again] = await receive(consumer, 1);
      assert(again);
      assert.equal(again.message.headers['retries'], 1);
      assert(again.run > delivery.run, 'the run counter grows over a replacement');
      await ackAll(consumer, [again]);
      await receiveNothing(consumer);
    });

    it('replaces into another queue and with a delay', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const [queue, other] = [await context.queue(), await context.queue()];
      const original = message(queue);
      await context.publish(original);
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(delivery);
      const next = message(other, { id: original.id, delayMs: 200 });
      await settle(consumer, { kind: 'replace', delivery, message: next });
      await receiveNothing(await context.consumer([queue]), 50);
      assert.deepEqual(idsOf(await receive(await context.consumer([other]), 1)), [original.id]);
    });

    it('answers a batch in order, each on its own', async () => {
      const queue = await context.queue();
      await context.publish(message(queue), message(queue), message(queue));
      const consumer = await context.consumer([queue]);
      const [first, second, third] = await receive(consumer, 3);
      assert(first && second && third);
      await settle(consumer, { kind: 'ack', delivery: second });
      const outcomes = await consumer.settle([first, second, third].map((delivery) => ({ kind: 'ack', delivery })));
      assert.deepEqual(outcomes, ['settled', 'lost', 'settled']);
    });

    it('removes dead letters from the queue', async () => {
      const queue = await context.queue();
      await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(delivery);
      assert.equal(await settle(consumer, { kind: 'dead-letter', delivery, reason: 'unknown task' }), 'settled');
      await receiveNothing(consumer);
    });

    it('applies the effects of a settlement with it, where it says so', async () => {
      if (!context.broker.capabilities.atomicCompletion) return;
      const { results } = context.driver;
      assert(results, 'atomicCompletion needs results');
      const queue = await context.queue();
      const [id] = await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(delivery && id);
      const follower = message(queue);
      const effects = {
        results: [{ taskId: id, state: 'SUCCESS' as const, name: 'conformance.task', run: delivery.run, attempts: 1 }],
        publish: [follower],
      };
      assert.equal(await settle(consumer, { kind: 'ack', delivery, effects }), 'settled');
      assert.equal((await results.get([id]))[0]?.state, 'SUCCESS');
      assert.deepEqual(idsOf(await receive(consumer, 1)), [follower.id]);
    });
  });
}
