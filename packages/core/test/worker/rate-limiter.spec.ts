import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/ambient/logger.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Delivery } from '../../src/ports/delivery.js';
import type { LockStore } from '../../src/ports/lock-store.js';
import { parseRate, parseRateLimit } from '../../src/task/rate-limit.js';
import type { RateLimit } from '../../src/task/rate-limit.js';
import { FakeClock, nextTurns } from '../../src/testing/fake-clock.js';
import { permitsOf, RateLimiter } from '../../src/worker/rate-limiter.js';

const delivery = (): Delivery => ({ queue: 'q', message: {}, receipt: {}, run: 1, redelivered: false }) as never;

/** A worker with room for all, whose deliveries come again when they were given back. */
class Stage {
  readonly clock: FakeClock;
  readonly starts: number[] = [];
  readonly visits = new Map<Delivery, number>();
  readonly arrivals: number[] = [];
  mostParked = 0;
  readonly limiter: RateLimiter;

  constructor(limit: unknown, { clock = new FakeClock(), locks }: { clock?: FakeClock; locks?: LockStore } = {}) {
    this.clock = clock;
    this.limiter = new RateLimiter({
      clock,
      logger: silentLogger,
      locks,
      limits: new Map([['work', parseRateLimit(limit) as RateLimit]]),
      resume: (one) => this.try(one),
      postpone: (one, delayMs) => void clock.timer(delayMs, () => this.arrive(one)),
    });
  }

  arrive(one = delivery()): void {
    this.visits.set(one, (this.visits.get(one) ?? 0) + 1);
    this.arrivals.push(this.clock.monotonic());
    this.try(one);
  }

  private try(one: Delivery): void {
    const admission = this.limiter.admit('work', one, randomUUID());
    if (admission === 'start') this.starts.push(this.clock.monotonic());
    else if (admission !== 'parked') this.clock.timer(admission.delayMs, () => this.arrive(one));
    this.mostParked = Math.max(this.mostParked, this.limiter.parked.length);
  }
}

function mostInWindow(starts: readonly number[], windowMs: number): number {
  return Math.max(...starts.map((start) => starts.filter((one) => one >= start && one < start + windowMs).length));
}

function mostInASecond(instants: readonly number[]): number {
  const perSecond = new Map<number, number>();
  for (const at of instants) {
    const second = Math.floor(at / 1_000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
  }
  return Math.max(...perSecond.values());
}

describe('a rate', () => {
  it.each([
    ['100/m', 100, 60_000],
    ['5/s', 5, 1_000],
    ['1000/h', 1_000, 3_600_000],
    ['7', 7, 1_000],
    [' 0.5 / s ', 0.5, 1_000],
    [3, 3, 1_000],
  ])('%s is %d in %d ms', (text, count, periodMs) => expect(parseRate(text)).toEqual({ count, periodMs }));

  it.each(['', 'fast', '5/d', '-1/s', '0/s', 0, -1, Number.NaN, Infinity, null, undefined, {}, '99999/s'])(
    '%s is none',
    (value) => expect(parseRate(value)).toBeUndefined(),
  );

  it('may be of the cluster', () => {
    expect(parseRateLimit({ limit: '5/s', scope: 'cluster' })).toEqual({ count: 5, periodMs: 1_000, scope: 'cluster' });
    expect(parseRateLimit({ limit: '5/s', scope: 'planet' })).toBeUndefined();
    expect(parseRateLimit({ limit: '5/s', burst: 3 })).toBeUndefined();
  });

  it.each(['1/s', '100/m', '1000/s', '0.5/s', '7/s', '250/m'])('%s is never exceeded by its permits', (text) => {
    const rate = parseRate(text) as { count: number; periodMs: number };
    const { permits, ttlMs } = permitsOf(rate);
    expect(permits / ttlMs).toBeLessThanOrEqual(rate.count / rate.periodMs);
    expect(permits / ttlMs).toBeGreaterThan((rate.count / rate.periodMs) * 0.9);
    expect(permits).toBeLessThanOrEqual(100);
  });
});

describe('a task with a rate', () => {
  it.each(['5/s', '10/m', '40/s', 1])('of %s starts evenly, as often as it may', async (limit) => {
    const stage = new Stage(limit);
    const { count, periodMs } = parseRate(limit) as { count: number; periodMs: number };
    const tasks = Math.ceil(count) * 3;
    for (let one = 0; one < tasks; one += 1) stage.arrive();
    await stage.clock.advance(periodMs * 4);
    expect(stage.starts.length).toBe(tasks);
    expect(mostInWindow(stage.starts, periodMs)).toBeLessThanOrEqual(count);
    expect(stage.starts.at(-1)).toBeLessThan(periodMs * 3.1);
  });

  it('of a thousand a second keeps up', async () => {
    const stage = new Stage('1000/s');
    const feeder = (): void => {
      while (stage.limiter.parked.length < 50) stage.arrive();
      stage.clock.timer(5, feeder);
    };
    feeder();
    await stage.clock.advance('2s');
    expect(stage.starts.length).toBeGreaterThan(1_900);
    expect(mostInWindow(stage.starts, 1_000)).toBeLessThanOrEqual(1_010);
  });

  it('is not turned over all the time when thousands wait', async () => {
    const stage = new Stage('10/s');
    for (let one = 0; one < 500; one += 1) stage.arrive();
    expect(stage.mostParked).toBeLessThanOrEqual(10);
    await stage.clock.advance('1m');
    expect(stage.starts.length).toBe(500);
    expect(Math.max(...stage.visits.values())).toBeLessThanOrEqual(3);
  });

  it('drains a backlog of many minutes evenly, and never all of it falls due together', async () => {
    const stage = new Stage('100/m');
    for (let one = 0; one < 2_000; one += 1) stage.arrive();
    const began = stage.clock.monotonic();
    stage.arrivals.splice(0);
    await stage.clock.advance('21m');
    expect(stage.starts.length).toBe(2_000);
    for (let minute = 0; minute < 20; minute += 1) {
      const from = began + minute * 60_000;
      const inMinute = stage.starts.filter((start) => start >= from && start < from + 60_000).length;
      expect(inMinute, `minute ${minute}`).toBeGreaterThanOrEqual(99);
      expect(inMinute, `minute ${minute}`).toBeLessThanOrEqual(101);
    }
    expect(mostInASecond(stage.arrivals)).toBeLessThanOrEqual(20);
    expect(stage.arrivals.length / 2_000, 'how often one comes again').toBeLessThan(6);
  });

  it('of which thousands wait looks at each at least every ten minutes, so that a raise is felt', async () => {
    const stage = new Stage('1/h');
    for (let one = 0; one < 6_000; one += 1) stage.arrive();
    stage.arrivals.splice(0);
    await stage.clock.advance('10m');
    const neverAgain = [...stage.visits.values()].filter((count) => count === 1).length;
    expect(neverAgain, 'the one that has started').toBe(1);
    expect(mostInASecond(stage.arrivals)).toBeLessThanOrEqual(30);
  });

  it('holds nobody for longer than a second', () => {
    const stage = new Stage('1/m');
    stage.arrive();
    stage.arrive();
    expect([stage.starts.length, stage.limiter.parked.length]).toEqual([1, 0]);
  });

  it('starts what is parked at once when its rate is lifted', async () => {
    const stage = new Stage('2/s');
    for (let one = 0; one < 3; one += 1) stage.arrive();
    expect(stage.starts.length).toBe(1);
    stage.limiter.change('work', undefined);
    await nextTurns();
    expect(stage.starts.length).toBeGreaterThanOrEqual(2);
    expect(stage.limiter.isIdle).toBe(true);
  });

  it('lets go of what it is told to', async () => {
    const stage = new Stage('2/s');
    const second = delivery();
    stage.arrive();
    stage.arrive(second);
    expect(stage.limiter.take([second])).toEqual([second]);
    await stage.clock.advance('2s');
    expect(stage.starts.length).toBe(1);
  });

  it('of the cluster keeps it with all workers together', async () => {
    const clock = new FakeClock();
    const { locks } = memoryDriver({ clock });
    const stages = [0, 1, 2].map(
      () => new Stage({ limit: '10/s', scope: 'cluster' }, { clock, locks: locks as LockStore }),
    );
    for (let one = 0; one < 90; one += 1) (stages[one % 3] as Stage).arrive();
    await clock.advance('30s');
    const starts = stages.flatMap((stage) => stage.starts);
    expect(starts.length).toBe(90);
    expect(mostInWindow(starts, 1_000)).toBeLessThanOrEqual(10);
  });

  it('of the cluster waits for a lock store that does not answer', async () => {
    const clock = new FakeClock();
    const { locks } = memoryDriver({ clock });
    let isAway = true;
    const shaky: LockStore = Object.assign(Object.create(locks as LockStore) as LockStore, {
      acquire: (requests: Parameters<LockStore['acquire']>[0]) =>
        isAway ? Promise.reject(new Error('away')) : (locks as LockStore).acquire(requests),
    });
    const stage = new Stage({ limit: '10/s', scope: 'cluster' }, { clock, locks: shaky });
    stage.arrive();
    await clock.advance('3s');
    expect(stage.starts.length).toBe(0);
    isAway = false;
    await clock.advance('1s');
    expect(stage.starts.length).toBe(1);
  });
});
