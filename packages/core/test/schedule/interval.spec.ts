import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntervalSchedule } from '../../src/schedule/interval.js';

const every = (everyMs: number, anchor?: number) =>
  new IntervalSchedule({ kind: 'interval', everyMs, ...(anchor === undefined ? {} : { anchor }) });

describe('interval', () => {
  it('falls on the grid of the epoch', () => {
    const at = Date.parse('2026-01-01T00:00:07Z');
    expect(every(10_000).next(at)).toBe(Date.parse('2026-01-01T00:00:10Z'));
    expect(every(10_000).next(Date.parse('2026-01-01T00:00:10Z'))).toBe(Date.parse('2026-01-01T00:00:20Z'));
  });

  it('falls on the grid of its anchor, also before it', () => {
    expect(every(10_000, 3).next(0)).toBe(3);
    expect(every(10_000, 3).next(3)).toBe(10_003);
    expect(every(10_000, 3).next(-20_000)).toBe(-19_997);
  });

  it('finds the first instant of the grid after any instant', () => {
    const instant = fc.integer({ min: -8_000_000_000_000, max: 8_000_000_000_000 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000_000 }), instant, instant, (everyMs, anchor, after) => {
        const next = every(everyMs, anchor).next(after) as number;
        expect(next - after).toBeGreaterThan(0);
        expect(next - after).toBeLessThanOrEqual(everyMs);
        expect(Math.abs((next - anchor) % everyMs)).toBe(0);
      }),
    );
  });

  it('is exact at the edges of what a Date can hold', () => {
    expect(every(1).next(8.64e15 - 1)).toBe(8.64e15);
    expect(every(1).next(8.64e15)).toBeUndefined();
    expect(every(7, -8.64e15).next(8.64e15 - 8)).toBe(8.64e15 - 8 + 7 - ((2 * 8.64e15 - 8) % 7));
    expect(every(1).next(Number.NaN)).toBeUndefined();
  });

  it.each([
    [1, 'every millisecond'],
    [250, 'every 250 milliseconds'],
    [90_000, 'every 90 seconds'],
    [60_000, 'every minute'],
    [7_200_000, 'every 2 hours'],
    [86_400_000, 'every day'],
  ])('tells %d ms in words', (everyMs, words) => {
    expect(every(everyMs).describe()).toBe(words);
  });

  it('tells its anchor', () => {
    expect(every(1000, 0).describe()).toBe('every second, counted from 1970-01-01T00:00:00.000Z');
  });
});
