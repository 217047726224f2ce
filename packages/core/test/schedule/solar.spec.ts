import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SOLAR_EVENTS, type SolarEvent } from '../../src/schedule/schedule.js';
import { SolarSchedule } from '../../src/schedule/solar.js';

const HOUR = 3_600_000;
const at = (event: SolarEvent, latitude: number, longitude: number) =>
  new SolarSchedule({ kind: 'solar', event, latitude, longitude });

const MINUTE = 60_000;

describe('solar', () => {
  // Times of the almanac for Greenwich on 21 June 2026, UTC.
  it.each<[SolarEvent, string]>([
    ['dawn_civil', '2026-06-21T02:54:00Z'],
    ['sunrise', '2026-06-21T03:43:00Z'],
    ['solar_noon', '2026-06-21T12:02:00Z'],
    ['sunset', '2026-06-21T20:21:00Z'],
    ['dusk_civil', '2026-06-21T21:09:00Z'],
  ])('knows %s', (event, expected) => {
    const run = at(event, 51.4769, 0).next(Date.parse('2026-06-21T00:00:00Z')) as number;
    expect(Math.abs(run - Date.parse(expected))).toBeLessThan(2 * MINUTE);
  });

  it('orders the events of a day', () => {
    const midnight = Date.parse('2026-03-20T00:00:00Z');
    const day = SOLAR_EVENTS.map((event) => at(event, 10, 0).next(midnight) as number);
    expect(day).toEqual([...day].sort((a, b) => a - b));
    expect((day.at(-1) as number) - midnight).toBeLessThan(24 * HOUR);
  });

  it('passes over the polar day and the polar night', () => {
    // Tromso: no sunrise from late November to mid January, no sunset from mid May to late July.
    const sunrise = at('sunrise', 69.65, 18.96).next(Date.parse('2026-12-10T00:00:00Z')) as number;
    expect(new Date(sunrise).toISOString()).toMatch(/^2027-01-1\d/);
    const sunset = at('sunset', 69.65, 18.96).next(Date.parse('2026-06-01T00:00:00Z')) as number;
    expect(new Date(sunset).toISOString()).toMatch(/^2026-07-2\d/);
  });

  it('ends its search where the event never comes', () => {
    const started = performance.now();
    expect(at('sunrise', 90, 0).next(Date.parse('2026-01-01T00:00:00Z'))).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(at('solar_noon', 0, 0).next(8.64e15)).toBeUndefined();
    expect(at('solar_noon', 0, 0).next(Number.NaN)).toBeUndefined();
  });

  it('has a next event that is later and near, whatever the place, and loses none', () => {
    const place = fc.record({
      latitude: fc.double({ min: -60, max: 60, noNaN: true }),
      // Also where solar days and UTC days are half a day apart.
      longitude: fc.oneof(fc.double({ min: -180, max: 180, noNaN: true }), fc.constantFrom(-180, 180, -179.676)),
    });
    const event = fc.constantFrom<SolarEvent>('sunrise', 'solar_noon', 'sunset');
    const after = fc.integer({ min: Date.UTC(1980, 0), max: Date.UTC(2060, 0) });
    fc.assert(
      fc.property(event, place, after, (name, { latitude, longitude }, from) => {
        const schedule = at(name, latitude, longitude);
        let previous = from;
        for (let index = 0; index < 4; index += 1) {
          const run = schedule.next(previous) as number;
          expect(run - previous).toBeGreaterThan(index === 0 ? 0 : 23.5 * HOUR);
          expect(run - previous).toBeLessThan(24.5 * HOUR);
          expect(schedule.next(run - 1)).toBe(run);
          previous = run;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is told in words', () => {
    expect(at('dusk_civil', 52.52, 13.405).describe()).toBe('at civil dusk at 52.52° N, 13.405° E');
    expect(at('sunrise', -33.87, -70.5).describe()).toBe('at sunrise at 33.87° S, 70.5° W');
  });
});
