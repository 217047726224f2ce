/**
 * When something is due. Pure: no timers, no clock, no store. The instants are epoch milliseconds, so that an
 * occurrence has one identity whatever the time zone does.
 */
export interface Schedule {
  readonly kind: ScheduleSpec['kind'];
  /** The first due instant strictly after `after`, or undefined when there is none (within the search bound). */
  next(after: number): number | undefined;
  /** In words, e.g. `at 15:00, Europe/Berlin`. */
  describe(): string;
}

/** A schedule as plain data, as it is declared in code and stored. Build the {@link Schedule} with `scheduleFrom`. */
export type ScheduleSpec = IntervalSpec | CrontabSpec | ClockedSpec | SolarSpec;

/** Every `everyMs` milliseconds on a fixed grid: `anchor` + k × `everyMs`. */
export interface IntervalSpec {
  readonly kind: 'interval';
  /** At least 1 ms; whole. */
  readonly everyMs: number;
  /** Epoch milliseconds. Default 0: the grid of the Unix epoch, so that "every 10 s" falls on :00, :10, :20. */
  readonly anchor?: number;
}

/**
 * Celery's crontab: five fields of text, each `*`, a number, a name, `a-b`, `a-b/n`, `*\/n` or a list of these; ranges may
 * wrap (`fri-mon`, `22-2`); 0 and 7 are Sunday; day of month and day of week are combined with AND, as Celery does,
 * unless `dayRule` says `or`, as POSIX cron does.
 */
export interface CrontabSpec {
  readonly kind: 'crontab';
  /** Default `*`. */
  readonly minute?: string;
  readonly hour?: string;
  readonly dayOfMonth?: string;
  readonly monthOfYear?: string;
  readonly dayOfWeek?: string;
  /** IANA name. Default `UTC`. */
  readonly timezone?: string;
  /**
   * What happens to a fixed time of the day (minute and hour are both lists of single values) that does not exist on a
   * day because the clocks go forward: `run` once at the end of the gap (default), or `skip` that day. Crontabs with a
   * `*`, a range or a step in one of the two never run inside the gap, whatever this says.
   */
  readonly gap?: 'run' | 'skip';
  /** `or`: either day field is enough, when neither matches every day. Default `and`. */
  readonly dayRule?: 'and' | 'or';
}

/**
 * Once, at an instant. An entry with an instant in the past that has not run yet is late, and its misfire policy
 * decides.
 */
export interface ClockedSpec {
  readonly kind: 'clocked';
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The sun's events, as Celery names them. */
export const SOLAR_EVENTS = [
  'dawn_astronomical',
  'dawn_nautical',
  'dawn_civil',
  'sunrise',
  'solar_noon',
  'sunset',
  'dusk_civil',
  'dusk_nautical',
  'dusk_astronomical',
] as const;

/** Events of the sun, by Celery's names. */
export type SolarEvent = (typeof SOLAR_EVENTS)[number];

/** At an event of the sun at a place. Days on which it does not happen (polar regions) are passed over. */
export interface SolarSpec {
  readonly kind: 'solar';
  readonly event: SolarEvent;
  /** −90 to 90. */
  readonly latitude: number;
  /** −180 to 180. */
  readonly longitude: number;
}
