import { afterEach, describe, expect, it } from 'vitest';
import { occurrenceTaskId } from '../../src/ambient/ids.js';
import { UsageError } from '../../src/errors/errors.js';
import type { Stores } from '../../src/ports/stores.js';
import { BeatsUnderTest, START } from './beats-under-test.js';

/** Results that are sent to whoever called: nobody else can look one up. */
function toCallers(stores: Stores): Stores {
  const error = new UsageError({ code: 'RESULT_UNAVAILABLE', message: 'not here' });
  const results = Object.assign(Object.create(stores.results ?? null) as NonNullable<Stores['results']>, {
    get: () => Promise.reject(error),
    expect: () => Promise.resolve('reply'),
  });
  return { ...stores, results };
}

describe('beat where results go to whoever called', () => {
  let beats: BeatsUnderTest;
  afterEach(async () => void (await Promise.all(beats.beats.map((beat) => beat.stop()))));

  it.each([true, false])(
    'sends its occurrences, and says once that it cannot tell whether a run has ended (atomic: %s)',
    async (atomicFire) => {
      beats = new BeatsUnderTest((stores) => ({ ...toCallers(stores), atomicFire }));
      await beats.start({ name: 'ten', task: 'tick', every: '10s', overlap: 'skip' });
      await beats.clock.advance('25s');
      expect(await beats.sent()).toEqual([10, 20].map((seconds) => occurrenceTaskId('ten', START + seconds * 1_000)));
      expect(beats.errors).toEqual([]);
      expect(beats.warnings.filter((line) => line.includes("overlap: 'skip'"))).toHaveLength(1);
    },
  );
});
