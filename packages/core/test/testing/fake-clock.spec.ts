import { describe, expect, it } from 'vitest';
import { repeat } from '../../src/async/repeat.js';
import { FakeClock } from '../../src/testing/fake-clock.js';

describe('FakeClock', () => {
  it('stands still until it is moved', async () => {
    const clock = new FakeClock(new Date('2030-01-01T00:00:00Z'));
    await clock.settle();
    expect([clock.now(), clock.monotonic()]).toEqual([Date.parse('2030-01-01T00:00:00Z'), 0]);
    await clock.advance('2h');
    expect([clock.now(), clock.monotonic()]).toEqual([Date.parse('2030-01-01T02:00:00Z'), 7_200_000]);
  });

  it('runs timers in the order of their instants, each at its instant', async () => {
    const clock = new FakeClock(0);
    const ran: [string, number][] = [];
    const note = (name: string) => () => void ran.push([name, clock.now()]);
    clock.timer(300, note('c'));
    clock.timer(100, note('a'));
    clock.timer(100, note('b'));
    clock.timer(1_000, note('later'));
    await clock.advance(999);
    expect(ran).toEqual([
      ['a', 100],
      ['b', 100],
      ['c', 300],
    ]);
    expect(clock.pending).toBe(1);
  });

  it('finds a loop sleeping again, also one that goes through promises and immediates', async () => {
    const clock = new FakeClock(0);
    const seen: number[] = [];
    const loop = repeat({
      clock,
      step: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(clock.now());
        return 1_000;
      },
      onError: (error) => {
        throw error;
      },
    });
    await clock.advance('5s');
    expect(seen).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000]);
    await loop.stop();
  });

  it('cancels timers, and sleeps that are aborted', async () => {
    const clock = new FakeClock(0);
    const stop = new AbortController();
    const slept = clock.sleep(100, stop.signal);
    clock.timer(50, () => expect.fail('cancelled')).cancel();
    stop.abort(new Error('stop'));
    await expect(slept).rejects.toThrow('stop');
    await clock.advance(200);
    expect(clock.pending).toBe(0);
  });

  it('adds up calls that are not awaited', async () => {
    const clock = new FakeClock(0);
    await Promise.all([clock.advance(100), clock.advance('1s')]);
    expect(clock.now()).toBe(1_100);
  });
});
