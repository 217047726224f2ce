import assert from 'node:assert/strict';
import { bodyBytes } from '../message/encoded-message.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { ackAll, idsOf, message, receive, receiveNothing } from './context.js';

/** Declaring queues and publishing. */
export function publishSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  describe('publish', () => {
    it('declares a queue twice without complaint', async () => {
      const queue = await context.queue();
      await context.broker.declare([{ name: queue }]);
    });

    it('delivers what was published, byte for byte', async () => {
      const queue = await context.queue();
      const sent = message(queue);
      await context.publish(sent);
      const [delivery] = await receive(await context.consumer([queue]), 1);
      assert(delivery);
      assert.deepEqual({ ...delivery.message.headers }, sent.message.headers);
      assert.equal(delivery.message.properties.correlation_id, sent.id);
      assert.equal(delivery.message.contentType, 'application/json');
      assert.equal(delivery.message.contentEncoding, 'utf-8');
      assert.deepEqual(bodyBytes(delivery.message.body), bodyBytes(sent.message.body));
      assert.equal(delivery.queue, queue);
    });

    it('carries a body of arbitrary bytes', async () => {
      const queue = await context.queue();
      const base = message(queue);
      const body = Uint8Array.from({ length: 512 }, (_, index) => index % 256);
      await context.publish({
        ...base,
        message: { ...base.message, body, contentType: 'application/x-binary', contentEncoding: 'binary' },
      });
      const [delivery] = await receive(await context.consumer([queue]), 1);
      assert.deepEqual(bodyBytes(delivery?.message.body ?? ''), Buffer.from(body));
    });

    it('carries an empty body and a body that is not valid UTF-8 but says so', async () => {
      const queue = await context.queue();
      for (const body of [new Uint8Array(), Uint8Array.from([0xff, 0xfe, 0x00, 0x7b])]) {
        const base = message(queue);
        await context.publish({ ...base, message: { ...base.message, body } });
        const consumer = await context.consumer([queue]);
        const deliveries = await receive(consumer, 1);
        assert.deepEqual(bodyBytes(deliveries[0]?.message.body ?? ''), Buffer.from(body));
        await ackAll(consumer, deliveries);
        await consumer.close();
      }
    });

    it('keeps messages while no consumer is there', async () => {
      const queue = await context.queue();
      const ids = await context.publish(...Array.from({ length: 20 }, () => message(queue)));
      const deliveries = await receive(await context.consumer([queue]), 20);
      assert.deepEqual(idsOf(deliveries).sort(), [...ids].sort());
    });

    it('hands messages of one priority out in the order they were published', async () => {
      const queue = await context.queue();
      const ids: string[] = [];
      for (let index = 0; index < 10; index += 1) ids.push(...(await context.publish(message(queue))));
      assert.deepEqual(idsOf(await receive(await context.consumer([queue]), 10)), ids);
    });

    it('is seen by a consumer of another process', async () => {
      const queue = await context.queue();
      const consumer = await context.consumer([queue], { driver: context.peer });
      const waiting = receive(consumer, 1);
      const ids = await context.publish(message(queue));
      assert.deepEqual(idsOf(await waiting), ids);
    });

    it('recognises a second publication of a live id, where it says so', async () => {
      if (!context.broker.capabilities.deduplicates) return;
      const queue = await context.queue();
      const first = message(queue);
      await context.publish(first);
      const [again, twin] = await context.broker.publish([
        message(queue, { id: first.id }),
        message(queue, { id: first.id }),
      ]);
      assert.equal(again?.status, 'duplicate');
      assert.equal(twin?.status, 'duplicate');
      const consumer = await context.consumer([queue]);
      const deliveries = await receive(consumer, 1);
      assert.equal((await context.broker.publish([message(queue, { id: first.id })]))[0]?.status, 'duplicate');
      await ackAll(consumer, deliveries);
      await receiveNothing(consumer);
    });

    it('answers many concurrent publications one by one', async () => {
      const queue = await context.queue();
      const sent = Array.from({ length: 200 }, () => message(queue));
      const outcomes = await Promise.all(sent.map((one) => context.broker.publish([one])));
      for (const [outcome] of outcomes) assert.equal(outcome?.status, 'accepted');
      const deliveries = await receive(await context.consumer([queue]), 200);
      assert.deepEqual(new Set(idsOf(deliveries)), new Set(sent.map((one) => one.id)));
    });

    it('answers an empty batch with an empty list', async () => {
      assert.deepEqual(await context.broker.publish([]), []);
    });
  });
}
