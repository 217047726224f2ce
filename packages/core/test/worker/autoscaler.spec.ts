import { describe, expect, it } from 'vitest';
import type { ExecutionPool } from '../../src/ports/execution-pool.js';
import type { QueueFacts, QueueInspector } from '../../src/ports/queue-inspector.js';
import { silentLogger } from '../../src/ambient/logger.js';
import { FakeClock } from '../../src/testing/fake-clock.js';
import { Autoscaler } from '../../src/worker/autoscaler.js';
import { ConsumedQueues } from '../../src/worker/consumed-queues.js';

/** A pool of which as much is in use as there is, or as `busy` says, and queues with a backlog. */
function scene({ ready = 0, paused = false }: { ready?: number; paused?: boolean }) {
  const clock = new FakeClock();
  const state = { size: 1, busy: 1, ready, asked: 0 };
  const sizes: { at: number; size: number }[] = [];
  const began = clock.monotonic();
  const pool = {
    get size() {
      return state.size;
    },
    get idle() {
      return state.size - state.busy;
    },
    resize: (size: number) => {
      state.size = size;
      state.busy = Math.min(size, state.busy);
      sizes.push({ at: clock.monotonic() - began, size });
    },
  } as ExecutionPool;
  const facts = { name: 'default', paused } as QueueFacts;
  const inspector = {
    queues: () => {
      state.asked += 1;
      return Promise.resolve([{ ...facts, ready: state.ready }]);
    },
  } as Partial<QueueInspector> as QueueInspector;
  const autoscaler = new Autoscaler({
    pool,
    range: { max: 8, min: 1 },
    queues: new ConsumedQueues({ queues: ['default'] }),
    inspector,
    takePeak: () => state.busy,
    buffered: () => 0,
    clock,
    logger: silentLogger,
  });
  autoscaler.start();
  return { clock, state, sizes, autoscaler };
}

describe('a pool that scales itself', () => {
  it('grows within a second of a backlog, by as much as waits', async () => {
    const { clock, sizes, autoscaler } = scene({ ready: 5 });
    await clock.advance('1s');
    expect(sizes).toEqual([{ at: expect.any(Number) as number, size: 6 }]);
    expect(sizes[0]?.at).toBeLessThanOrEqual(1_000);
    autoscaler.stop();
  });

  it('grows within a second also when the backlog comes just after a look', async () => {
    const { clock, state, sizes, autoscaler } = scene({});
    await clock.advance('10001ms');
    const from = clock.monotonic();
    state.ready = 3;
    await clock.advance('1s');
    expect(sizes.map(({ size }) => size)).toEqual([4]);
    expect((sizes[0]?.at ?? Infinity) - from).toBeLessThanOrEqual(1_000);
    autoscaler.stop();
  });

  it('stays for a burst that is over in a moment', async () => {
    const { clock, state, sizes, autoscaler } = scene({});
    await clock.advance('10s');
    state.ready = 50;
    await clock.advance('400ms');
    state.ready = 0;
    await clock.advance('10s');
    expect(sizes).toEqual([]);
    autoscaler.stop();
  });

  it('does not count what waits in a queue that is paused', async () => {
    const { clock, sizes, autoscaler } = scene({ ready: 5, paused: true });
    await clock.advance('5s');
    expect(sizes).toEqual([]);
    autoscaler.stop();
  });

  it('asks no queue while it has room', async () => {
    const { clock, state, autoscaler } = scene({ ready: 5 });
    state.busy = 0;
    await clock.advance('10s');
    expect(state.asked).toBe(0);
    autoscaler.stop();
  });
});
