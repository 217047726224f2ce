import assert from 'node:assert/strict';
import type { ConformanceContext, TestRunner } from './context.js';
import { idsOf, message, receive, receiveNothing } from './context.js';

/** Publishing as part of the caller's transaction. */
export function transactionSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  describe('transactions', () => {
    it('show a message after the commit, and not before', async () => {
      const queue = await context.queue();
      const consumer = await context.consumer([queue], { driver: context.peer });
      const one = message(queue);
      await context.transaction(async (transaction) => {
        const [outcome] = await context.broker.publish([one], { transaction });
        assert.equal(outcome?.status, 'accepted');
        await receiveNothing(consumer, 100);
      });
      assert.deepEqual(idsOf(await receive(consumer, 1)), [one.id]);
    });

    it('wake a consumer that waits, at the commit', async () => {
      const queue = await context.queue();
      const consumer = await context.consumer([queue]);
      const waiting = receive(consumer, 1);
      const started = performance.now();
      await context.transaction(async (transaction) => {
        await context.broker.publish([message(queue)], { transaction });
      });
      await waiting;
      assert(performance.now() - started < 3_000);
    });

    it('never show a message that was rolled back', async () => {
      const queue = await context.queue();
      const consumer = await context.consumer([queue]);
      const failure = new Error('roll back');
      await assert.rejects(
        context.transaction(async (transaction) => {
          await context.broker.publish([message(queue)], { transaction });
          throw failure;
        }),
        failure,
      );
      await receiveNothing(consumer);
    });

    it('fail the call for something that is not a transaction', async () => {
      const queue = await context.queue();
      const [outcome] = await context.broker
        .publish([message(queue)], { transaction: { not: 'a transaction' } })
        .catch((error: unknown) => [{ status: 'refused' as const, error }]);
      assert.equal(outcome?.status, 'refused');
    });
  });
}
