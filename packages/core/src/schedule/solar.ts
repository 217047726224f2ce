import { type SunTimes, getTimes } from 'suncalc';
import type { ConfigurationProblem } from '../errors/errors.js';
import { DAY_MS, LAST_INSTANT } from './instant.js';
import { SOLAR_EVENTS, type Schedule, type SolarEvent, type SolarSpec } from './schedule.js';

/**
 * The sun at a place: sunrise and sunset when its upper edge crosses the horizon (refraction included), civil, nautical
 * and astronomical dawn and dusk when its centre is 6, 12 and 18 degrees below. Solar days are walked through one by
 * one; those without the event (polar day, polar night, white nights) are passed over, and after 400 of them, more than
 * a year, there is none: the place never sees the event.
 *
 * Instants are rounded to whole seconds. The formulas are less exact than that, and the identity of an occurrence must
 * not depend on how a processor rounds.
 */
export class SolarSchedule implements Schedule {
  readonly kind = 'solar';

  constructor(private readonly spec: SolarSpec) {}

  next(after: number): number | undefined {
    if (!(Math.abs(after) < LAST_INSTANT - (SEARCH_DAYS + 2) * DAY_MS)) return undefined;
    const today = Math.floor(after / DAY_MS);
    // Far from Greenwich, the solar day can be on the next UTC day or the one before.
    for (let day = today - 2; day < today + SEARCH_DAYS; day += 1) {
      const instant = this.onSolarDay(day);
      if (instant !== undefined && instant > after) return instant;
    }
    return undefined;
  }

  describe(): string {
    const { event, latitude, longitude } = this.spec;
    return `at ${EVENTS[event].words} at ${degrees(latitude, 'N', 'S')}, ${degrees(longitude, 'E', 'W')}`;
  }

  private onSolarDay(day: number): number | undefined {
    const { event, latitude, longitude } = this.spec;
    // Mean solar noon at this longitude: suncalc takes the solar day whose noon is nearest, which is now beyond doubt.
    const noon = (day + 0.5 - longitude / 360) * DAY_MS;
    const time = getTimes(new Date(noon), latitude, longitude)[EVENTS[event].name];
    return time instanceof Date ? Math.round(time.getTime() / 1000) * 1000 : undefined;
  }
}

/** Everything that is wrong with the fields of a solar specification; `path` names it. */
export function solarProblems(spec: Partial<Record<keyof SolarSpec, unknown>>, path: string): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  if (!SOLAR_EVENTS.includes(spec.event as SolarEvent)) {
    problems.push({ path: `${path}.event`, expected: `one of ${SOLAR_EVENTS.join(', ')}`, value: spec.event });
  }
  for (const [field, limit] of [['latitude', 90] as const, ['longitude', 180] as const]) {
    const value = spec[field];
    if (typeof value === 'number' && Math.abs(value) <= limit) continue;
    const remedy = 'North and east are positive.';
    problems.push({ path: `${path}.${field}`, expected: `degrees from -${limit} to ${limit}`, value, remedy });
  }
  return problems;
}

const SEARCH_DAYS = 400;

/** Celery's names in suncalc's and in words. */
const EVENTS: Readonly<Record<SolarEvent, { readonly name: keyof SunTimes; readonly words: string }>> = {
  dawn_astronomical: { name: 'nightEnd', words: 'astronomical dawn' },
  dawn_nautical: { name: 'nauticalDawn', words: 'nautical dawn' },
  dawn_civil: { name: 'dawn', words: 'civil dawn' },
  sunrise: { name: 'sunrise', words: 'sunrise' },
  solar_noon: { name: 'solarNoon', words: 'solar noon' },
  sunset: { name: 'sunset', words: 'sunset' },
  dusk_civil: { name: 'dusk', words: 'civil dusk' },
  dusk_nautical: { name: 'nauticalDusk', words: 'nautical dusk' },
  dusk_astronomical: { name: 'night', words: 'astronomical dusk' },
};

function degrees(value: number, positive: string, negative: string): string {
  return `${Math.abs(value)}° ${value < 0 ? negative : positive}`;
}
