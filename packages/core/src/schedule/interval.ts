import type { ConfigurationProblem } from '../errors/errors.js';
import { DAY_MS, HOUR_MS, LAST_INSTANT, MINUTE_MS, isInstant } from './instant.js';
import type { IntervalSpec, Schedule } from './schedule.js';

/**
 * A fixed grid of instants, `anchor` + k × `everyMs` for every whole k, also before the anchor. It is computed, not
 * counted from the last run, so runs do not drift and every beat finds the same instants. Clock changes do not matter:
 * `every 24 hours` is not "at the same time every day", which is a crontab.
 */
export class IntervalSchedule implements Schedule {
  readonly kind = 'interval';

  constructor(private readonly spec: IntervalSpec) {}

  next(after: number): number | undefined {
    const { everyMs, anchor = 0 } = this.spec;
    const from = Math.floor(after);
    const phase = (from - anchor) % everyMs;
    const next = from - phase + (phase < 0 ? 0 : everyMs);
    return isInstant(next) ? next : undefined;
  }

  describe(): string {
    const { everyMs, anchor } = this.spec;
    const [size, unit] = UNITS.find(([each]) => everyMs % each === 0) ?? [1, 'millisecond'];
    const count = everyMs / size;
    const period = count === 1 ? `every ${unit}` : `every ${count} ${unit}s`;
    return anchor === undefined ? period : `${period}, counted from ${new Date(anchor).toISOString()}`;
  }
}

/** Everything that is wrong with the fields of an interval specification; `path` names it. */
export function intervalProblems(
  spec: Partial<Record<keyof IntervalSpec, unknown>>,
  path: string,
): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  if (!isInstant(spec.everyMs) || spec.everyMs < 1) {
    problems.push({
      path: `${path}.everyMs`,
      expected: `a whole number of milliseconds from 1 to ${LAST_INSTANT}`,
      value: spec.everyMs,
      remedy: 'Give e.g. 30000 for every 30 seconds.',
    });
  }
  if (spec.anchor !== undefined && !isInstant(spec.anchor)) {
    const remedy = 'Give the result of Date.parse, or leave it out.';
    problems.push({ path: `${path}.anchor`, expected: 'an instant in epoch milliseconds', value: spec.anchor, remedy });
  }
  return problems;
}

const UNITS = [
  [DAY_MS, 'day'],
  [HOUR_MS, 'hour'],
  [MINUTE_MS, 'minute'],
  [1000, 'second'],
] as const;
