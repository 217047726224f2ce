import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { defineTask } from '../../src/task/task-definition.js';
import { plainHandler } from '../../src/task/task-registry.js';
import { eventually } from '../../src/testing/eventually.js';
import type { QueueUnderTest } from './worker-under-test.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

/** A task that runs, at which the worker itself fails for the first `faults` deliveries, after it has begun. */
function faultyTask(queue: QueueUnderTest, faults: number): { runs: number } {
  const counted = { runs: 0 };
  let left = faults;
  const definition = Object.create(defineTask('odd'), {
    trackStarted: {
      get: () => {
        if ((left -= 1) >= 0) throw new Error('a fault of ours');
        return false;
      },
    },
  }) as ReturnType<typeof defineTask>;
  queue.registry.register({
    definition,
    handler: plainHandler(definition, () => (counted.runs += 1)),
    source: 'odd',
  });
  return counted;
}

async function facts(queue: QueueUnderTest): Promise<unknown> {
  const [one] = (await queue.driver.inspector?.queues()) ?? [];
  return { ready: one?.ready, leased: one?.leased, delayed: one?.delayed, dead: one?.dead };
}

describe('a delivery at which the worker itself fails', () => {
  it('is handed back and runs, although the worker lives on and renews its leases', async () => {
    const queue = open({ worker: { concurrency: 2 } });
    const counted = faultyTask(queue, 1);
    const release = deferred();
    queue.task('hold', () => release.promise);
    const worker = await queue.work();
    // Something is held all the time, so that the lease of the consumer is renewed.
    await queue.send('hold');
    await eventually(() => expect(worker.status().active).toBe(1));
    const handle = await queue.send('odd');
    expect(await handle.get({ timeout: '10s' })).toBe(1);
    release.resolve();
    expect((await handle.record())?.attempts).toBe(2);
    expect(counted.runs).toBe(1);
    await eventually(async () => expect(await facts(queue)).toEqual({ ready: 0, leased: 0, delayed: 0, dead: 0 }));
    expect(worker.status()).toMatchObject({ active: 0, buffered: 0 });
  });

  it('counts as lost, so one at which it always fails is dead, with its record, and keeps no slot', async () => {
    const queue = open({ worker: { concurrency: 1, maxLost: 1 } });
    const counted = faultyTask(queue, Infinity);
    queue.task('good', () => 'ran');
    await queue.work();
    const handle = await queue.send('odd');
    expect(await (await queue.send('good')).get({ timeout: '5s' })).toBe('ran');
    await expect(handle.get({ timeout: '10s' })).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect(counted.runs).toBe(0);
    expect(await facts(queue)).toEqual({ ready: 0, leased: 0, delayed: 0, dead: 1 });
  });

  it('goes to the dead letters without a record when not even that succeeds', async () => {
    const queue = open({ worker: { concurrency: 1, maxLost: 1 } });
    queue.task('odd', () => 1);
    await queue.send('odd');
    queue.registry.find = () => {
      throw new Error('a fault of ours');
    };
    await queue.work();
    await eventually(async () => expect(await facts(queue)).toMatchObject({ leased: 0, dead: 1 }), 10_000);
    const dead = await queue.driver.inspector?.deadLetters({ limit: 1 });
    expect(dead?.messages[0]?.reason).toBe('could not be processed');
  });
});
