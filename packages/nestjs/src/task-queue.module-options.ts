import { DEFAULT_SETTINGS, didYouMean } from '@taskqueue/core';
import type {
  Clock,
  ConfigurationProblem,
  Driver,
  Logger,
  ScheduleEntryInit,
  TaskQueueSettingsInit,
} from '@taskqueue/core';
import type { Enhancers } from './execution/task-pipeline.js';

/** A driver, or the URL of one: `sqlite:`, `postgres://`, `redis://`, `amqp://`, `memory:`. */
export type DriverOrUrl = Driver | string;

/**
 * Options of `TaskQueueModule.forRoot`. Everything is optional; with nothing given the queue lives in the SQLite file
 * `./data/taskqueue.sqlite`. Settings of the environment (`TASKQUEUE_…`) win over those given here; drivers and URLs given here win
 * over the environment's.
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

const SETTINGS: ReadonlySet<string> = new Set([...Object.keys(DEFAULT_SETTINGS), 'serializers']);

/** The settings among the options. */
export function settingsOf(options: TaskQueueModuleOptions): TaskQueueSettingsInit {
  return Object.fromEntries(Object.entries(options).filter(([key]) => SETTINGS.has(key)));
}

/** What is wrong with the module's own options, apart from its drivers. */
export function moduleProblems(options: TaskQueueModuleOptions): ConfigurationProblem[] {
  const choices = {
    enhancers: ['none', 'local', 'all'],
    embedded: ['worker', 'beat', 'both', 'none'],
    adoptNestSchedule: [true, false],
  } as const;
  const wrong = (Object.keys(choices) as (keyof typeof choices)[]).flatMap((path) => {
    const value = options[path];
    const allowed: readonly unknown[] = choices[path];
    if (value === undefined || allowed.includes(value)) return [];
    return [{ path, expected: `one of ${allowed.join(', ')}`, value }];
  });
  return [...unknownOptions(options), ...wrong, ...misshapen(options)];
}

function unknownOptions(options: object): ConfigurationProblem[] {
  const known = [...MODULE_OPTIONS, ...SETTINGS];
  return Object.entries(options).flatMap(([path, value]) =>
    known.includes(path)
      ? []
      : [{ path, expected: `one of ${known.join(', ')}`, value: value as unknown, ...nearest(path, known) }],
  );
}

function nearest(word: string, known: readonly string[]): { readonly remedy?: string } {
  const remedy = didYouMean(word, known);
  return remedy === undefined ? {} : { remedy };
}

/** They would fail where they are used first, long after the start. */
function misshapen({ logger, clock, random, schedule }: TaskQueueModuleOptions): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  const needs = (path: string, value: unknown, methods: readonly string[]): void => {
    if (value === undefined || methods.every((name) => typeof memberOf(value, name) === 'function')) return;
    problems.push({ path, expected: `an object with the methods ${methods.join(', ')}`, value });
  };
  needs('logger', logger, ['fatal', 'error', 'warn', 'log', 'debug', 'verbose']);
  needs('clock', clock, ['now', 'monotonic', 'timer', 'sleep']);
  if (random !== undefined && typeof random !== 'function') {
    problems.push({ path: 'random', expected: 'a function that gives 0 to 1', value: random });
  }
  if (schedule !== undefined && (typeof schedule !== 'object' || schedule === null || Array.isArray(schedule))) {
    problems.push({ path: 'schedule', expected: 'an object: name of the entry → entry', value: schedule });
  }
  return problems;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
