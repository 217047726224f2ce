import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isoInstant, isWireInstant, parseIsoInstant } from '../../src/message/iso-instant.js';

describe('instants as Python writes them', () => {
  it.each<[string, number | undefined]>([
    ['2026-11-20T17:50:56.558883+00:00', Date.UTC(2026, 10, 20, 17, 50, 56, 558)],
    ['2030-01-02T03:04:05', Date.UTC(2030, 0, 2, 3, 4, 5)],
    ['2030-01-02T03:04:05+02:00', Date.UTC(2030, 0, 2, 1, 4, 5)],
    ['2030-01-02T03:04:05-0530', Date.UTC(2030, 0, 2, 8, 34, 5)],
    ['2030-01-02 03:04Z', Date.UTC(2030, 0, 2, 3, 4)],
    ['2030-01-02', Date.UTC(2030, 0, 2)],
    ['0001-01-01T00:00:00', -62135596800000],
    ['0001-01-01T00:00:00+01:00', undefined],
    ['9999-12-31T23:59:59.999999', 253402300799999],
    ['2024-02-29T00:00:00', Date.UTC(2024, 1, 29)],
    ['2023-02-29T00:00:00', undefined],
    ['2023-13-01T00:00:00', undefined],
    ['2023-01-01T24:00:00', undefined],
    ['2023-01-01T00:60:00', undefined],
    ['2023-01-01T00:00:00+24:00', undefined],
    ['+275760-09-13T00:00:00Z', undefined],
    ['now', undefined],
    ['', undefined],
    ['2023-01-01T00:00:00Z; x', undefined],
  ])('%s', (text, instant) => expect(parseIsoInstant(text)).toBe(instant));

  it('come back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62135596800000, max: 253402300799999 }), (instant) => {
        expect(parseIsoInstant(isoInstant(instant))).toBe(instant);
        expect(parseIsoInstant(isoInstant(instant, 'Z'))).toBe(instant);
      }),
    );
  });

  it('are those of the years 1 to 9999', () => {
    expect([NaN, Infinity, 8.64e15, -8.64e15, 253402300800000].map(isWireInstant)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
