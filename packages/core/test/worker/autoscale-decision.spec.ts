import { describe, expect, it } from 'vitest';
import type { AutoscaleRange } from '../../src/config/autoscale.js';
import { parseAutoscale } from '../../src/config/autoscale.js';
import type { PoolSample } from '../../src/worker/autoscale-decision.js';
import { decideSize, firstMemory } from '../../src/worker/autoscale-decision.js';

const RANGE: AutoscaleRange = { max: 8, min: 2 };

/** Sizes after each sample of a trace; a sample every 400 ms. `demand`: tasks that want to run at that instant. */
function trace(demands: readonly number[], range = RANGE): number[] {
  let [size, memory] = [range.min, firstMemory(0)];
  return demands.map((demand, index) => {
    const busy = Math.min(size, demand);
    const waiting = Math.max(0, demand - size);
    const sample: PoolSample = { at: (index + 1) * 400, size, busy, waiting };
    ({ size, memory } = decideSize(sample, memory, range));
    return size;
  });
}

const times = (count: number, demand: number): number[] => Array.from({ length: count }, () => demand);
const changes = (sizes: readonly number[]): number =>
  sizes.filter((size, at) => at > 0 && size !== sizes[at - 1]).length;
const minutes = (count: number): number => count * 150;

describe('the size of a pool', () => {
  it('grows within a second by what waits, and shrinks after 30 quiet seconds to what was used and one more', () => {
    const sizes = trace([0, 5, ...times(10, 5), ...times(80, 1)]);
    // 400 ms apart: the second sample that sees them wait.
    expect(sizes.slice(0, 4)).toEqual([2, 2, 5, 5]);
    expect(sizes.slice(4, 76).every((size) => size === 5)).toBe(true);
    // Until then five were in use; the quiet time counts from the growth.
    expect(sizes.at(-1)).toBe(5);
    const later = trace([0, 5, ...times(10, 5), ...times(160, 1)]);
    expect(later.at(-1)).toBe(2);
    expect(changes(later)).toBe(2);
  });

  it('never leaves its range', () => {
    const sizes = trace([...times(5, 1_000), ...times(minutes(3), 0)]);
    expect([Math.max(...sizes), Math.min(...sizes)]).toEqual([8, 2]);
    expect(sizes.at(-1)).toBe(2);
  });

  it('does not follow a burst that is over in a moment', () => {
    const sizes = trace(Array.from({ length: minutes(5) }, (_, index) => (index % 2 === 0 ? 7 : 0)));
    expect(changes(sizes)).toBe(0);
  });

  it.each([2, 3, 5, 8])('does not flap under a steady load of %i', (demand) => {
    const sizes = trace(times(minutes(30), demand));
    expect(changes(sizes)).toBeLessThanOrEqual(1);
    expect(sizes.at(-1)).toBe(demand);
  });

  it('settles when a load comes and goes', () => {
    // A minute of six, a minute of none: for two hours.
    const sizes = trace(
      Array.from({ length: minutes(120) }, (_, index) => (Math.floor(index / minutes(1)) % 2 ? 0 : 6)),
    );
    expect(changes(sizes.slice(0, minutes(10)))).toBeGreaterThan(2);
    expect(changes(sizes.slice(minutes(60)))).toBeLessThanOrEqual(3);
  });

  it('comes back into a range that has changed', () => {
    const memory = firstMemory(0);
    const sample = { at: 400, busy: 0, waiting: 0 };
    expect(decideSize({ ...sample, size: 20 }, memory, RANGE).size).toBe(8);
    expect(decideSize({ ...sample, size: 1 }, memory, RANGE).size).toBe(2);
  });
});

describe('a range', () => {
  it.each<[unknown, AutoscaleRange | undefined]>([
    ['10,3', { max: 10, min: 3 }],
    [' 10 , 3 ', { max: 10, min: 3 }],
    ['10', { max: 10, min: 1 }],
    [4, { max: 4, min: 1 }],
    [
      { max: 5, min: 5 },
      { max: 5, min: 5 },
    ],
    ['3,10', undefined],
    ['0', undefined],
    ['a,b', undefined],
    ['1,2,3', undefined],
    [{ max: 5 }, undefined],
    [{ max: 5, min: 1, step: 1 }, undefined],
    [{ max: 20_000, min: 1 }, undefined],
    [null, undefined],
  ])('%j is %j', (value, range) => expect(parseAutoscale(value)).toEqual(range));
});
