import { beforeEach, describe, expect, it } from 'vitest';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Driver } from '../../src/ports/driver.js';
import { FakeClock } from '../../src/testing/fake-clock.js';

describe('coordination in memory, by the clock', () => {
  let clock: FakeClock;
  let driver: Driver;

  beforeEach(() => {
    clock = new FakeClock(0);
    driver = memoryDriver({ clock });
  });

  it('ends permits to the millisecond', async () => {
    const request = { key: 'k', permits: 1, ttlMs: 1_000 };
    await driver.locks?.acquire([{ ...request, owner: 'a' }]);
    await clock.advance(999);
    expect(await driver.locks?.acquire([{ ...request, owner: 'b' }])).toEqual([
      { status: 'held', holder: { owner: 'a', token: 1, expiresInMs: 1 } },
    ]);
    await clock.advance(1);
    expect(await driver.locks?.acquire([{ ...request, owner: 'b' }])).toEqual([{ status: 'acquired', token: 2 }]);
  });

  it('keeps a barrier as long as members arrive in time', async () => {
    await driver.barriers?.open([{ id: 'b', size: 3, ttlMs: 1_000, body: new Uint8Array() }]);
    await clock.advance(999);
    expect((await driver.barriers?.arrive([{ id: 'b', memberId: '1' }]))?.[0]?.arrived).toBe(1);
    await clock.advance(999);
    expect((await driver.barriers?.arrive([{ id: 'b', memberId: '1' }]))?.[0]?.arrived).toBe(1);
    await clock.advance(1_000);
    expect(await driver.barriers?.arrive([{ id: 'b', memberId: '2' }])).toEqual([undefined]);
  });
});
