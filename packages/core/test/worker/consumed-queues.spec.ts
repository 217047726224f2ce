import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../src/ports/delivery.js';
import type { ConsumedQueuesOptions } from '../../src/worker/consumed-queues.js';
import { ConsumedQueues } from '../../src/worker/consumed-queues.js';

const delivery = (queue: string): Delivery =>
  ({ queue, message: {}, receipt: {}, run: 1, redelivered: false }) as never;
const many = (queue: string, count: number): Delivery[] => Array.from({ length: count }, () => delivery(queue));

describe('what a worker asks for', () => {
  it('is what it is subscribed to, as long as nothing else is said', () => {
    const queues = new ConsumedQueues({ queues: ['a', 'b'] });
    queues.hold(many('a', 3));
    expect(queues.plan(5)).toEqual({ max: 5 });
  });

  it('leaves out a queue that has no room, and never asks for more than there is room for', () => {
    const queues = new ConsumedQueues({ queues: ['reports', 'default'], limits: { reports: 2 } });
    expect(queues.plan(10)).toEqual({ max: 2, queues: ['reports', 'default'] });
    const [first, second] = many('reports', 2) as [Delivery, Delivery];
    queues.hold([first, ...many('default', 4)]);
    expect(queues.plan(10)).toEqual({ max: 1, queues: ['reports', 'default'] });
    queues.hold([second]);
    expect(queues.plan(10)).toEqual({ max: 10, queues: ['default'] });
    expect([queues.end(first), queues.end(first), queues.end(second)]).toEqual([true, false, false]);
    expect(queues.plan(10)).toEqual({ max: 2, queues: ['reports', 'default'] });
  });

  it('is nothing while no queue has room', () => {
    const queues = new ConsumedQueues({ queues: ['reports'], limits: { reports: 1 } });
    const [only] = many('reports', 1) as [Delivery];
    queues.hold([only]);
    expect(queues.plan(1)).toBeUndefined();
    queues.end(only);
    expect(queues.plan(1)).toEqual({ max: 1, queues: ['reports'] });
  });

  it('follows queues that are added and cancelled', () => {
    const queues = new ConsumedQueues({ queues: ['a'], limits: { b: 1 } });
    expect([queues.add('b'), queues.add('b'), queues.cancel('a'), queues.cancel('a')]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(queues.plan(9)).toEqual({ max: 1, queues: ['b'] });
    expect(queues.names).toEqual(['b']);
  });
});

/** Takes `rounds` batches of `size` from queues with so many messages each; what came of each. */
function serve(options: ConsumedQueuesOptions, work: Record<string, number>, size: number, rounds: number) {
  const queues = new ConsumedQueues(options);
  const left = { ...work };
  const served: Record<string, number> = Object.fromEntries(options.queues.map((queue) => [queue, 0]));
  for (let round = 0; round < rounds; round += 1) {
    const plan = queues.plan(size);
    const batch: Delivery[] = [];
    for (const queue of plan?.queues ?? options.queues) {
      const count = Math.min(left[queue] ?? 0, (plan?.max ?? 0) - batch.length);
      batch.push(...many(queue, count));
      left[queue] = (left[queue] ?? 0) - count;
      served[queue] = (served[queue] ?? 0) + count;
    }
    queues.hold(batch);
  }
  return { served, queues };
}

describe('the weighted order', () => {
  const options = { queues: ['a', 'b', 'c'], order: 'weighted', weights: { a: 5, b: 3 } } as const;

  it.each([1, 7, 50])('gives each queue its share, in requests for %i', (size) => {
    const rounds = Math.ceil(9_000 / size);
    const { served } = serve(options, { a: 1e6, b: 1e6, c: 1e6 }, size, rounds);
    const total = rounds * size;
    expect((served['a'] ?? 0) / total).toBeCloseTo(5 / 9, 1);
    expect((served['b'] ?? 0) / total).toBeCloseTo(3 / 9, 1);
    expect((served['c'] ?? 0) / total).toBeCloseTo(1 / 9, 1);
  });

  it('gives the share of an empty queue to the others, and the empty one nothing to save up', () => {
    const { served, queues } = serve(options, { a: 0, b: 1e6, c: 1e6 }, 1, 4_000);
    expect([served['a'], served['b'], served['c']]).toEqual([0, 3_000, 1_000]);
    // Now it has work as well: five ninths, not all.
    let ofA = 0;
    for (let round = 0; round < 90; round += 1) {
      const [first] = queues.plan(1)?.queues ?? [];
      if (first === 'a') ofA += 1;
      queues.hold(many(first as string, 1));
    }
    expect(ofA).toBeGreaterThan(45);
    expect(ofA).toBeLessThan(56);
  });

  it('is not what is asked for in the strict one', () => {
    const { served } = serve({ queues: ['a', 'b'], limits: { c: 1 } }, { a: 30, b: 30 }, 10, 4);
    expect([served['a'], served['b']]).toEqual([30, 10]);
  });
});
