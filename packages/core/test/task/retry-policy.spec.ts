import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors/errors.js';
import { matches, retriesError, retryDelayMs, retryPolicy } from '../../src/task/retry-policy.js';

class Base extends Error {}
class Derived extends Base {
  override name = 'NamedDifferently';
}

describe('the retry policy', () => {
  it('has Celery’s defaults', () => {
    expect(retryPolicy()).toEqual({
      max: 3,
      for: [],
      notFor: [],
      backoff: 'fixed',
      delayMs: 180_000,
      maxDelayMs: 600_000,
      jitter: false,
    });
    expect(retryPolicy({ backoff: 'exponential' })).toMatchObject({ delayMs: 1_000, jitter: true });
  });

  it.each([
    [{ max: -1 }, 'retry.max'],
    [{ max: 1.5 }, 'retry.max'],
    [{ max: Number.NaN }, 'retry.max'],
    [{ delay: -1 }, 'retry.delay'],
    [{ delay: 'soon' as never }, 'retry.delay'],
    [{ maxDelay: Infinity }, 'retry.maxDelay'],
    [{ backoff: 'linear' as never }, 'retry.backoff'],
  ])('refuses %j and names %s', (init, field) => {
    expect(() => retryPolicy(init)).toThrow(
      expect.objectContaining({ code: 'TASK_OPTIONS_INVALID', fields: expect.objectContaining({ field }) }),
    );
  });

  it('grows exponentially up to the cap', () => {
    const policy = retryPolicy({ backoff: 'exponential', delay: '1s', maxDelay: '10s', jitter: false });
    expect([0, 1, 2, 3, 4, 50, 5_000].map((retries) => retryDelayMs(policy, retries, () => 1))).toEqual([
      1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000,
    ]);
  });

  it('spreads with full jitter between nothing and the computed wait', () => {
    const policy = retryPolicy({ backoff: 'exponential', delay: 1_000 });
    expect(retryDelayMs(policy, 2, () => 0)).toBe(0);
    expect(retryDelayMs(policy, 2, () => 0.5)).toBe(2_000);
    expect(retryDelayMs(policy, 2, () => 1)).toBe(4_000);
  });

  it('matches classes by inheritance, names by any class of the line, and tests by their answer', () => {
    const error = new Derived('x');
    expect(matches(Base, error)).toBe(true);
    expect(matches(Error, error)).toBe(true);
    expect(matches(RangeError, error)).toBe(false);
    for (const name of ['NamedDifferently', 'Derived', 'Base', 'Error']) expect(matches(name, error), name).toBe(true);
    expect(matches('Other', error)).toBe(false);
    expect(matches((thrown) => thrown === 7, 7)).toBe(true);
    expect(matches('Error', 'a string')).toBe(false);
  });

  it('lets exceptions win, and never retries arguments that do not fit', () => {
    const policy = retryPolicy({ for: true, notFor: [Base] });
    expect(retriesError(policy, new Error('x'))).toBe(true);
    expect(retriesError(policy, new Derived('x'))).toBe(false);
    expect(retriesError(policy, new UsageError({ code: 'TASK_ARGUMENTS_INVALID', message: 'x' }))).toBe(false);
    expect(retriesError(retryPolicy(), new Error('x'))).toBe(false);
  });
});
