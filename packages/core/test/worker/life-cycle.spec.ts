import { describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { eventually } from '../../src/testing/eventually.js';
import { nextTurns } from '../../src/testing/fake-clock.js';
import type { QueueUnderTest } from './worker-under-test.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

describe('shutdown', () => {
  it('starts nothing more, lets running tasks end, and keeps the rest in the queue', async () => {
    const queue = open({ worker: { concurrency: 2 } });
    const release = deferred();
    let started = 0;
    let aborted = 0;
    const slow = async (context: TaskContext): Promise<string> => {
      started += 1;
      await release.promise;
      if (context.signal.aborted) aborted += 1;
      return 'ended';
    };
    queue.task('slow', slow, { bind: true });
    const worker = await queue.work();
    const handles = await Promise.all(Array.from({ length: 6 }, () => queue.send('slow')));
    await eventually(() => expect(started).toBe(2));
    const stopped = worker.stop({ graceMs: 10_000 });
    expect(worker.state).toBe('draining');
    // It gets as far as it would go without a grace.
    await nextTurns();
    expect(worker.state).toBe('draining');
    release.resolve();
    await stopped;
    expect(worker.state).toBe('stopped');
    expect([started, aborted]).toEqual([2, 0]);
    const states = await Promise.all(handles.map((handle) => handle.state()));
    expect(states.filter((state) => state === 'SUCCESS')).toHaveLength(2);
    const [facts] = (await queue.driver.inspector?.queues()) ?? [];
    expect(facts).toMatchObject({ ready: 4, leased: 0 });
  });

  it('aborts what still runs after the grace and hands it back, uncounted as lost, to start elsewhere at once', async () => {
    const queue = open();
    const reasons: unknown[] = [];
    const first = deferred();
    queue.task(
      'stubborn',
      async (context: TaskContext) => {
        if (context.fence > 1) return `run ${context.fence}, attempt ${context.attempt}`;
        first.resolve();
        await new Promise<void>((resolve) => {
          context.signal.addEventListener('abort', () => {
            reasons.push(context.signal.reason);
            resolve();
          });
        });
        throw new Error('given up');
      },
      { bind: true },
    );
    const worker = await queue.work();
    const handle = await queue.send('stubborn');
    await first.promise;
    await worker.stop({ graceMs: 60 });
    expect(reasons).toMatchObject([{ code: 'WORKER_LOST' }]);
    expect(await handle.ready()).toBe(false);
    await queue.work();
    expect(await handle.get({ timeout: '2s' })).toBe('run 2, attempt 1');
  });

  it('keeps the result of a task that succeeds although it was told to stop', async () => {
    const queue = open();
    const started = deferred();
    queue.task(
      'tidy',
      (context: TaskContext) => {
        started.resolve();
        return new Promise((resolve) => {
          context.signal.addEventListener('abort', () => resolve('tidied up'));
        });
      },
      { bind: true },
    );
    const worker = await queue.work();
    const handle = await queue.send('tidy');
    await started.promise;
    await worker.stop({ graceMs: 60 });
    expect(await handle.result()).toBe('tidied up');
  });

  it('hands back a task that hears nothing, and a second stop shortens the grace', async () => {
    const queue = open();
    const started = deferred();
    queue.task('deaf', (run: number) => {
      started.resolve();
      return run;
    });
    queue.task('hang', () => {
      started.resolve();
      return new Promise(() => undefined);
    });
    const worker = await queue.work();
    await queue.send('hang');
    await started.promise;
    const began = performance.now();
    const stopped = worker.stop({ graceMs: 60_000 });
    void worker.stop();
    // The second call ends the waiting; the hand-back has its own short time.
    await stopped;
    expect(performance.now() - began).toBeLessThan(10_000);
    const [facts] = (await queue.driver.inspector?.queues()) ?? [];
    expect(facts).toMatchObject({ ready: 1, leased: 0 });
  });

  it('may come before or during the start, and twice', async () => {
    const queue = open();
    const worker = await queue.work();
    await Promise.all([worker.stop(), worker.stop()]);
    await worker.stop();
    expect(worker.state).toBe('stopped');
  });

  it('lets a task enqueue while it drains', async () => {
    const queue = open();
    const started = deferred();
    const go = deferred();
    queue.task('parent', async () => {
      started.resolve();
      await go.promise;
      return (await queue.send('child')).id;
    });
    queue.task('child', () => 'child');
    const worker = await queue.work();
    const handle = await queue.send('parent');
    await started.promise;
    const stopped = worker.stop({ graceMs: 5_000 });
    go.resolve();
    await stopped;
    const childId = (await handle.result()) as string;
    expect(await queue.sender.handle(childId).state()).toBe('PENDING');
  });
});

describe('leases', () => {
  it('are kept while a handler blocks the event loop for twice their length', async () => {
    const driver = memoryDriver();
    const [one, two] = [
      open({ worker: { lease: '1s', name: 'one' } }, driver),
      open({ worker: { lease: '1s', name: 'two' } }, driver),
    ];
    let runs = 0;
    for (const queue of [one, two]) {
      queue.task('block', () => {
        runs += 1;
        const until = performance.now() + 2_000;
        while (performance.now() < until);
        return runs;
      });
    }
    await one.work();
    await two.work();
    const handle = await one.send('block');
    expect(await handle.get({ timeout: '20s' })).toBe(1);
    expect(runs).toBe(1);
    expect((await handle.record())?.attempts).toBe(1);
  });

  it('that are lost abort the run, which then records nothing', async () => {
    const queue = open({ worker: { lease: '1s' } });
    const started = deferred<TaskContext>();
    queue.task(
      'zombie',
      async (context: TaskContext) => {
        if (context.fence > 1) return 'second';
        started.resolve(context);
        await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()));
        return 'first';
      },
      { bind: true },
    );
    const handle = await queue.send('zombie');
    const worker = await queue.work();
    const context = await started.promise;
    worker.pause();
    // Another worker's view: the lease is taken away by force.
    const thief = await queue.stores.broker.consume({ queues: ['default'], consumerId: 'thief', leaseMs: 30_000 });
    const stolen = await eventually(async () => {
      await takeLeasesAway(queue);
      const [delivery] = await thief.receive({ max: 1, signal: AbortSignal.timeout(20) });
      expect(delivery, 'not lost yet').toBeDefined();
      return delivery;
    });
    expect(stolen?.lostLeases).toBe(1);
    await eventually(() => expect(context.signal.aborted).toBe(true));
    expect(context.signal.reason).toMatchObject({ code: 'LEASE_LOST' });
    await eventually(() => expect(queue.events.some((event) => event.type === 'task-lost')).toBe(true));
    expect(worker.status().lostLeases).toBe(1);
    expect(await handle.ready()).toBe(false);
    await thief.close();
    worker.resume();
    expect(await handle.get({ timeout: '5s' })).toBe('second');
  });

  it('that come back to the very worker that still runs the task never make it run twice side by side', async () => {
    const queue = open({ worker: { lease: '1s' } });
    const started = deferred();
    let [active, most, runs] = [0, 0, 0];
    queue.task(
      'boomerang',
      async (context: TaskContext) => {
        runs += 1;
        active += 1;
        most = Math.max(most, active);
        started.resolve();
        if (runs === 1)
          await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => setImmediate(resolve)));
        active -= 1;
        return runs;
      },
      { bind: true },
    );
    const handle = await queue.send('boomerang');
    await queue.work();
    await started.promise;
    await eventually(async () => {
      await takeLeasesAway(queue);
      expect(runs).toBe(2);
    });
    expect(await handle.get({ timeout: '5s' })).toBe(2);
    expect(most).toBe(1);
  });

  it('that were lost three times put the task to the dead letters, without a start', async () => {
    const queue = open();
    let ran = false;
    queue.task('poison', () => (ran = true));
    const handle = await queue.send('poison');
    const state = (queue.stores.broker as unknown as { state: { messages: Map<string, { lostLeases: number }> } })
      .state;
    (state.messages.get(handle.id) as { lostLeases: number }).lostLeases = 3;
    await queue.work();
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect(ran).toBe(false);
    const dead = await queue.driver.inspector?.deadLetters({ limit: 1 });
    expect(dead?.messages[0]?.reason).toBe('lost 3 workers');
  });
});

describe('fetching', () => {
  it('never runs more at once than the concurrency', async () => {
    const queue = open({ worker: { concurrency: 3 } });
    let [active, most] = [0, 0];
    queue.task('count', async () => {
      active += 1;
      most = Math.max(most, active);
      await new Promise((resolve) => setImmediate(resolve));
      active -= 1;
    });
    const worker = await queue.work();
    await queue.sender.sendMany(Array.from({ length: 200 }, () => ({ task: 'count' })));
    await eventually(() => expect(worker.status().processed).toBe(200));
    expect(most).toBe(3);
  });

  it('gives back what it leased ahead when a slot gets stuck, for another worker to run', async () => {
    const driver = memoryDriver();
    const [one, two] = [open({ worker: { concurrency: 1 } }, driver), open({ worker: { concurrency: 1 } }, driver)];
    const hang = deferred();
    const ran: string[] = [];
    for (const [name, queue] of [
      ['one', one],
      ['two', two],
    ] as const) {
      queue.task('quick', () => ran.push(name));
      queue.task('hang', () => hang.promise);
    }
    const worker = await one.work();
    await one.sender.sendMany(Array.from({ length: 100 }, () => ({ task: 'quick' })));
    await eventually(() => expect(ran).toHaveLength(100));
    const stuck = await one.send('hang', [], { priority: 9 });
    await eventually(() => expect(worker.status().active).toBe(1));
    await one.sender.sendMany(Array.from({ length: 20 }, () => ({ task: 'quick' })));
    await two.work();
    await eventually(() => expect(ran.filter((name) => name === 'two')).toHaveLength(20));
    hang.resolve();
    await stuck.get({ timeout: '5s' });
  });

  it('stops and goes on at an operator’s word', async () => {
    const queue = open();
    queue.task('work', () => 1);
    const worker = await queue.work();
    worker.pause();
    await queue.send('work');
    const handle = await queue.send('work');
    worker.resume();
    expect(await handle.get({ timeout: '5s' })).toBe(1);
  });
});

/** As if the worker had been frozen for longer than its lease. It may renew in between, so it may take a second try. */
async function takeLeasesAway(queue: QueueUnderTest): Promise<void> {
  const { state } = queue.stores.broker as unknown as { state: { consumers: Map<number, { leaseUntil: number }> } };
  for (const lease of state.consumers.values()) lease.leaseUntil = 0;
  await queue.stores.broker.recover?.();
}
