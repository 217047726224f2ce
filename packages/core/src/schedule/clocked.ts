import type { ConfigurationProblem } from '../errors/errors.js';
import { isInstant } from './instant.js';
import type { ClockedSpec, Schedule } from './schedule.js';

/** One instant. Whether it has been fired already is the store's knowledge, not the schedule's. */
export class ClockedSchedule implements Schedule {
  readonly kind = 'clocked';

  constructor(private readonly spec: ClockedSpec) {}

  next(after: number): number | undefined {
    return this.spec.at > after ? this.spec.at : undefined;
  }

  describe(): string {
    return `once at ${new Date(this.spec.at).toISOString()}`;
  }
}

/** Everything that is wrong with the fields of a clocked specification; `path` names it. */
export function clockedProblems(
  spec: Partial<Record<keyof ClockedSpec, unknown>>,
  path: string,
): ConfigurationProblem[] {
  if (isInstant(spec.at)) return [];
  const remedy = "Give e.g. Date.parse('2030-01-31T09:00:00Z').";
  return [{ path: `${path}.at`, expected: 'an instant in epoch milliseconds', value: spec.at, remedy }];
}
