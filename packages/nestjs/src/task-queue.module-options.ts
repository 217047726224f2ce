import type {
  Clock,
  ConfigurationProblem,
  Driver,
  Logger,
  ScheduleEntryInit,
  TaskQueueSettingsInit,
} from '@taskqueue/core';
import type { Enhancers } from './execution/task-pipeline.js';

/** A driver, or the URL of one: `sqlite:`, `postgres://`, `redis://`, `amqp://`, `sqs:`, `memory:`. */
export type DriverOrUrl = Driver | string;

/**
 * Options of `TaskQueueModule.forRoot`. Everything is optional; with nothing given the queue lives in the SQLite file
 * `./data/taskqueue.sqlite`. The environment (`TASKQUEUE_…`) gives what code does not.
 */
export interface TaskQueueModuleOptions extends TaskQueueSettingsInit {
  /** Serves every port that has no driver of its own. Default `TASKQUEUE_URL`, then the embedded SQLite file. */
  readonly driver?: DriverOrUrl;
  /** Carries messages. Default `TASKQUEUE_BROKER_URL`, then `driver`. */
  readonly broker?: DriverOrUrl;
  /** Keeps results; `rpc://`: the broker sends them to their callers; `false` keeps none. Default `TASKQUEUE_RESULTS_URL`, then `driver`, then the broker's. */
  readonly results?: DriverOrUrl | false;
  /** Keeps schedules. Default `TASKQUEUE_SCHEDULES_URL`, then `driver`, then whichever can. */
  readonly schedules?: DriverOrUrl;
  /** Periodic tasks by name, beside those of decorators and of the database. */
  readonly schedule?: Readonly<Record<string, Omit<ScheduleEntryInit, 'name'>>>;
  /** Which of Nest's enhancers run around tasks. Default `local`. */
  readonly enhancers?: Enhancers;
  /**
   * Run a worker, a beat, or both inside this application, for small apps. Default: none; `runWorker` and `runBeat`
   * are processes of their own.
   */
  readonly embedded?: 'worker' | 'beat' | 'both' | 'none';
  /**
   * Adopt methods that carry `@Cron`, `@Interval` or `@Timeout` of `@nestjs/schedule`: `@nestjs/schedule` leaves them
   * alone, and beat fires each once per cluster instead of once per replica. Default false.
   */
  readonly adoptNestSchedule?: boolean;
  /** Default: Nest's logger. */
  readonly logger?: Logger;
  /** Default: the real clock. For tests. */
  readonly clock?: Clock;
  /** 0 to 1, for jitter. Default `Math.random`. For tests. */
  readonly random?: () => number;
}

/** Options that are the module's; all others are settings. */
const MODULE_OPTIONS: ReadonlySet<string> = new Set<Exclude<keyof TaskQueueModuleOptions, keyof TaskQueueSettingsInit>>(
  [
    'driver',
    'broker',
    'results',
    'schedules',
    'schedule',
    'enhancers',
    'embedded',
    'adoptNestSchedule',
    'logger',
    'clock',
    'random',
  ],
);

/** The settings among the options, unknown ones included, so that their validation names these. */
export function settingsOf(options: TaskQueueModuleOptions): TaskQueueSettingsInit {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !MODULE_OPTIONS.has(key)));
}

/** What is wrong with the module's own options, apart from its drivers. */
export function moduleProblems(options: TaskQueueModuleOptions): ConfigurationProblem[] {
  const choices = {
    enhancers: ['none', 'local', 'all'],
    embedded: ['worker', 'beat', 'both', 'none'],
    adoptNestSchedule: [true, false],
  } as const;
  return (Object.keys(choices) as (keyof typeof choices)[]).flatMap((path) => {
    const value = options[path];
    const allowed: readonly unknown[] = choices[path];
    if (value === undefined || allowed.includes(value)) return [];
    return [{ path, expected: `one of ${allowed.join(', ')}`, value }];
  });
}
