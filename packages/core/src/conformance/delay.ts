import assert from 'node:assert/strict';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { idsOf, message, receive, receiveNothing, settle } from './context.js';

/** Delays and priorities. */
export function delaySuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  describe('delay', () => {
    it('hides a message until its eta, and shows it soon after', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const queue = await context.queue();
      const eta = Date.now() + 300;
      const ids = await context.publish(message(queue, { eta }));
      const deliveries = await receive(await context.consumer([queue]), 1);
      assert.deepEqual(idsOf(deliveries), ids);
      assert(Date.now() >= eta - 5, `came ${eta - Date.now()} ms early`);
      assert(Date.now() <= eta + 1_500, `came ${Date.now() - eta} ms late`);
    });

    it('counts a delay from now by its own clock', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const queue = await context.queue();
      const started = performance.now();
      await context.publish(message(queue, { delayMs: 250, eta: 0 }));
      await receive(await context.consumer([queue]), 1);
      assert(performance.now() - started >= 245);
    });

    it('delivers at once what was due before it was published', async () => {
      const queue = await context.queue();
      await context.publish(message(queue, { eta: Date.now() - 60_000 }));
      await receive(await context.consumer([queue]), 1, 3_000);
    });

    it('does not let a delayed message hold up others', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const queue = await context.queue();
      await context.publish(message(queue, { delayMs: 60_000 }));
      const ids = await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      assert.deepEqual(idsOf(await receive(consumer, 1)), ids);
      await receiveNothing(consumer);
    });

    it('wakes a consumer that waits already, also one of another process', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const queue = await context.queue();
      const consumer = await context.consumer([queue], { driver: context.peer });
      const waiting = receive(consumer, 1);
      const ids = await context.publish(message(queue, { delayMs: 200 }));
      const started = performance.now();
      assert.deepEqual(idsOf(await waiting), ids);
      assert(performance.now() - started < 2_500);
    });

    it('keeps a delayed replacement under the same id', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const queue = await context.queue();
      const [id] = await context.publish(message(queue));
      assert(id);
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(delivery);
      await settle(consumer, { kind: 'replace', delivery, message: message(queue, { id, delayMs: 200 }) });
      const started = performance.now();
      assert.deepEqual(idsOf(await receive(consumer, 1)), [id]);
      assert(performance.now() - started >= 150);
    });

    it('promotes many that fall due together, each once', async () => {
      if (context.broker.capabilities.delay === 'none') return;
      const queue = await context.queue();
      const ids = await context.publish(...Array.from({ length: 300 }, () => message(queue, { delayMs: 100 })));
      const consumers = [await context.consumer([queue]), await context.consumer([queue], { driver: context.peer })];
      const seen: string[] = [];
      await eventually(async () => {
        const batches = await Promise.all(
          consumers.map((consumer) => consumer.receive({ max: 50, signal: AbortSignal.timeout(100) })),
        );
        seen.push(...batches.flatMap(idsOf));
        assert(seen.length >= 300);
      });
      assert.deepEqual(seen.sort(), [...ids].sort());
    });
  });

  describe('priority', () => {
    it('hands out higher numbers first, and equal ones in order', async () => {
      if (context.broker.capabilities.priorities < 10) return;
      const queue = await context.queue();
      const plain = await context.publish(message(queue), message(queue));
      const urgent = await context.publish(message(queue, { priority: 9 }), message(queue, { priority: 9 }));
      const middle = await context.publish(message(queue, { priority: 5 }));
      const consumer = await context.consumer([queue]);
      const order: string[] = [];
      for (let index = 0; index < 5; index += 1) order.push(...idsOf(await receive(consumer, 1)));
      assert.deepEqual(order, [...urgent, ...middle, ...plain]);
    });
  });
}
