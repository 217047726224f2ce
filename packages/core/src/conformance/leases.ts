import assert from 'node:assert/strict';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { ackAll, idsOf, message, receive, receiveNothing, settle } from './context.js';

const SHORT_LEASE_MS = 400;

/** Leases that run out, are renewed, are lost; and who is blamed. */
export function leaseSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const recover = async (): Promise<void> => {
    await context.broker.recover?.();
    await context.peer.broker?.recover?.();
  };

  /** Receives as another worker would while recovery goes on. */
  const takeOver = async (queue: string, count: number) => {
    const heir = await context.consumer([queue], { driver: context.peer });
    const taken = await eventually(async () => {
      await recover();
      const deliveries = await heir.receive({ max: count, signal: AbortSignal.timeout(100) });
      assert(deliveries.length > 0, 'nothing was recovered yet');
      return deliveries;
    });
    return { heir, taken };
  };

  describe('leases', () => {
    it('come back when the consumer dies', async () => {
      if (context.broker.capabilities.lease !== 'renewable') return;
      const queue = await context.queue();
      const ids = await context.publish(message(queue));
      const victim = await context.consumer([queue], { leaseMs: SHORT_LEASE_MS });
      await receive(victim, 1);
      const { taken } = await takeOver(queue, 1);
      assert.deepEqual(idsOf(taken), ids);
      if (context.broker.capabilities.countsLostLeases) assert.equal(taken[0]?.lostLeases, 1);
      assert.equal(taken[0]?.redelivered, true);
    });

    it('live on while they are extended', async () => {
      if (context.broker.capabilities.lease !== 'renewable') return;
      const queue = await context.queue();
      await context.publish(message(queue));
      const keeper = await context.consumer([queue], { leaseMs: SHORT_LEASE_MS });
      const [delivery] = await receive(keeper, 1);
      assert(delivery);
      const heir = await context.consumer([queue], { driver: context.peer });
      const until = performance.now() + 4 * SHORT_LEASE_MS;
      while (performance.now() < until) {
        assert.deepEqual(await keeper.extend([delivery], SHORT_LEASE_MS), ['extended']);
        await recover();
        await receiveNothing(heir, SHORT_LEASE_MS / 4);
      }
      assert.equal(await settle(keeper, { kind: 'ack', delivery }), 'settled');
    });

    it('that were lost settle nothing and extend nothing', async () => {
      if (context.broker.capabilities.lease !== 'renewable') return;
      const queue = await context.queue();
      const [id] = await context.publish(message(queue));
      assert(id);
      const zombie = await context.consumer([queue], { leaseMs: SHORT_LEASE_MS });
      const [stale] = await receive(zombie, 1);
      assert(stale);
      const { heir, taken } = await takeOver(queue, 1);
      assert.deepEqual(await zombie.extend([stale], 30_000), ['lost']);
      const follower = message(queue);
      const effects = {
        results: [{ taskId: id, state: 'SUCCESS' as const, name: 'conformance.task', run: stale.run, attempts: 1 }],
        publish: [follower],
      };
      const canEffect = context.broker.capabilities.atomicCompletion;
      assert.equal(await settle(zombie, { kind: 'ack', delivery: stale, ...(canEffect ? { effects } : {}) }), 'lost');
      assert.equal(await settle(zombie, { kind: 'replace', delivery: stale, message: message(queue, { id }) }), 'lost');
      assert.equal(await settle(zombie, { kind: 'dead-letter', delivery: stale, reason: 'x' }), 'lost');
      if (canEffect) assert.notEqual((await context.driver.results?.get([id]))?.[0]?.state, 'SUCCESS');
      await ackAll(heir, taken);
      await receiveNothing(heir);
    });

    it('do not keep a consumer from working on after it lost them', async () => {
      if (context.broker.capabilities.lease !== 'renewable') return;
      const queue = await context.queue();
      await context.publish(message(queue));
      const zombie = await context.consumer([queue], { leaseMs: SHORT_LEASE_MS });
      await receive(zombie, 1);
      const { heir, taken } = await takeOver(queue, 1);
      await ackAll(heir, taken);
      await heir.close();
      const ids = await context.publish(message(queue));
      const deliveries = await receive(zombie, 1);
      assert.deepEqual(idsOf(deliveries), ids);
      await ackAll(zombie, deliveries);
    });

    it('are given back at once by close, uncounted as lost', async () => {
      const queue = await context.queue();
      const ids = await context.publish(message(queue), message(queue));
      const consumer = await context.consumer([queue]);
      await receive(consumer, 2);
      await consumer.close();
      await consumer.close();
      const again = await receive(await context.consumer([queue]), 2, 5_000);
      assert.deepEqual(idsOf(again), ids);
      if (context.broker.capabilities.countsLostLeases)
        assert.deepEqual(
          again.map((one) => one.lostLeases),
          [0, 0],
        );
    });

    it('count every loss of a message, and hand suspects out one at a time', async () => {
      const { capabilities } = context.broker;
      if (!capabilities.countsLostLeases || capabilities.lease !== 'renewable') return;
      const queue = await context.queue();
      const ids = await context.publish(message(queue), message(queue), message(queue));
      const victim = await context.consumer([queue], { leaseMs: SHORT_LEASE_MS });
      await receive(victim, 3);
      const heir = await context.consumer([queue], { driver: context.peer });
      const seen: string[] = [];
      while (seen.length < 3) {
        const deliveries = await eventually(async () => {
          await recover();
          const some = await heir.receive({ max: 10, signal: AbortSignal.timeout(100) });
          assert(some.length > 0);
          return some;
        });
        assert.equal(deliveries.length, 1, 'one suspect at a time');
        assert.equal(deliveries[0]?.lostLeases, 1);
        await receiveNothing(heir, 50);
        await ackAll(heir, deliveries);
        seen.push(...idsOf(deliveries));
      }
      assert.deepEqual(seen.sort(), [...ids].sort());
    });

    it('do not blame what is fresh for what a suspect does beside it', async () => {
      const { capabilities } = context.broker;
      if (!capabilities.countsLostLeases || capabilities.lease !== 'renewable') return;
      const queue = await context.queue();
      const [poison] = await context.publish(message(queue));
      await receive(await context.consumer([queue], { leaseMs: SHORT_LEASE_MS }), 1);
      const second = await context.consumer([queue], { leaseMs: SHORT_LEASE_MS, driver: context.peer });
      const [suspect] = await eventually(async () => {
        await recover();
        const some = await second.receive({ max: 1, signal: AbortSignal.timeout(50) });
        assert.equal(some.length, 1);
        return some;
      });
      assert(suspect);
      const [neighbour] = await context.publish(message(queue));
      assert.deepEqual(idsOf(await second.receive({ max: 5, signal: AbortSignal.timeout(5_000) })), [neighbour]);
      const losses = new Map<string, number>();
      const third = await context.consumer([queue]);
      await eventually(async () => {
        await recover();
        const some = await third.receive({ max: 5, signal: AbortSignal.timeout(50) });
        for (const one of some) losses.set(idsOf([one])[0] as string, one.lostLeases ?? -1);
        await ackAll(third, some);
        assert.equal(losses.size, 2);
      });
      assert.equal(losses.get(poison as string), 2);
      assert.equal(losses.get(neighbour as string), 1);
    });
  });
}
