import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { RevocationRequest, RevocationStore } from '../ports/revocations.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { idsOf, message, receive, receiveNothing } from './context.js';

/** Revoked task ids. */
export function revocationSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const store = (): RevocationStore => {
    assert(context.driver.revocations);
    return context.driver.revocations;
  };
  const inAMinute = (): number => Date.now() + 60_000;
  const request = (taskId: string, overrides: Partial<RevocationRequest> = {}): RevocationRequest => ({
    taskId,
    terminate: false,
    expiresAt: inAMinute(),
    waiting: 'record',
    ...overrides,
  });

  describe('revocations', () => {
    it('are told to every process that asks after them', async () => {
      assert(context.peer.revocations);
      const { marker } = await context.peer.revocations.since(undefined);
      const id = randomUUID();
      await store().revoke([request(id, { terminate: true })]);
      const news = await context.peer.revocations.since(marker);
      const mine = news.revocations.find((one) => one.taskId === id);
      assert.equal(mine?.terminate, true);
      assert(Math.abs((mine?.expiresAt ?? 0) - inAMinute()) < 5_000);
      const later = await context.peer.revocations.since(news.marker);
      assert(!later.revocations.some((one) => one.taskId === id));
    });

    it('are told to a process that starts later, until they expire', async () => {
      const [live, expired] = [randomUUID(), randomUUID()];
      await store().revoke([request(live), request(expired, { expiresAt: Date.now() - 1 })]);
      const known = (await store().since(undefined)).revocations.map((one) => one.taskId);
      assert(known.includes(live));
      assert(!known.includes(expired));
    });

    it('take a waiting message out and record it REVOKED in the same step', async () => {
      const queue = await context.queue();
      const [ready, delayed] = await context.publish(message(queue), message(queue, { delayMs: 60_000 }));
      assert(ready && delayed);
      const recordExpiresAt = Date.now() + 3_600_000;
      const removed = await store().revoke([request(ready, { recordExpiresAt }), request(delayed)]);
      if (removed.length === 0) return; // a broker that cannot look into its queues
      assert.deepEqual([...removed].sort(), [ready, delayed].sort());
      const records = await context.driver.results?.get([ready, delayed]);
      assert.deepEqual(
        records?.map((one) => [one?.state, one?.expiresAt]),
        [
          ['REVOKED', recordExpiresAt],
          ['REVOKED', undefined],
        ],
      );
      await receiveNothing(await context.consumer([queue]));
    });

    it('record nothing of a message whose own header says so, nor where the request says so', async () => {
      const queue = await context.queue();
      const plain = message(queue);
      const headers = { ...plain.message.headers, ignore_result: true };
      const [ignoring, dropped] = await context.publish(
        { ...plain, message: { ...plain.message, headers } },
        message(queue),
      );
      assert(ignoring && dropped);
      const removed = await store().revoke([request(ignoring), request(dropped, { waiting: 'drop' })]);
      if (removed.length === 0) return;
      assert.deepEqual([...removed].sort(), [ignoring, dropped].sort());
      assert.deepEqual(await context.driver.results?.get([ignoring, dropped]), [undefined, undefined]);
      await receiveNothing(await context.consumer([queue]));
    });

    it('leave a waiting message where it is, when they say so', async () => {
      const queue = await context.queue();
      const [id] = await context.publish(message(queue));
      assert(id);
      assert.deepEqual(await store().revoke([request(id, { waiting: 'leave' })]), []);
      const [state] = (await context.driver.results?.get([id])) ?? [];
      assert.notEqual(state?.state, 'REVOKED');
      assert((await store().since(undefined)).revocations.some((one) => one.taskId === id));
      assert.deepEqual(idsOf(await receive(await context.consumer([queue]), 1)), [id]);
    });

    it('leave a leased message to its worker', async () => {
      const queue = await context.queue();
      const [id] = await context.publish(message(queue));
      const consumer = await context.consumer([queue]);
      const [delivery] = await receive(consumer, 1);
      assert(id && delivery);
      assert.deepEqual(await store().revoke([request(id)]), []);
      assert.deepEqual(await consumer.settle([{ kind: 'ack', delivery }]), ['settled']);
    });

    it('may name a task twice, and tasks nobody knows', async () => {
      const id = randomUUID();
      const one = request(id);
      await store().revoke([one, one]);
      await store().revoke([{ ...one, terminate: true }]);
      const mine = (await store().since(undefined)).revocations.filter((other) => other.taskId === id);
      assert(mine.some((other) => other.terminate));
    });
  });
}
