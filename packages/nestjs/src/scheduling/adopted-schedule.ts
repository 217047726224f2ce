import 'reflect-metadata';
import type { ScheduleEntry, ScheduleEntryInit } from '@taskqueue/core';
import { ConfigurationError, declareEntry } from '@taskqueue/core';
import { methodNames, taskMethodsOf } from '../discovery/task-metadata.accessor.js';
import { TASK_ADOPTED_METADATA, TASK_METADATA } from '../task-queue.constants.js';
import type { CronOptions } from './adopted-cron.js';
import { scheduleOfCron } from './adopted-cron.js';

/** The metadata keys of `@nestjs/schedule`. The package is the user's, and optional, so it is not imported. */
const NEST_SCHEDULE_KEYS = [
  'SCHEDULER_TYPE',
  'SCHEDULER_NAME',
  'SCHEDULE_CRON_OPTIONS',
  'SCHEDULE_INTERVAL_OPTIONS',
  'SCHEDULE_TIMEOUT_OPTIONS',
] as const;

type NestScheduleMetadata = Partial<Record<(typeof NEST_SCHEDULE_KEYS)[number], unknown>>;

/** What adoption took off a method. */
interface Adopted {
  readonly schedule: NestScheduleMetadata;
  /** It had `@SharedTask` of its own. */
  readonly task: boolean;
}

/** An entry, and whether its instant counts from the first time the cluster sees it. */
export interface AdoptedEntry {
  readonly entry: ScheduleEntry;
  /**
   * True for `@Timeout`: the instant that the store holds already stands. When it has run, the store has switched the
   * entry off, and an entry that was switched off is not switched on by a deployment. So it runs once per cluster, as
   * long as the method keeps its name; a new name is a new entry.
   */
  readonly once: boolean;
}

interface AdoptedClass {
  readonly prototype: unknown;
  readonly name: string;
}

/** Does a method of the class carry a schedule of `@nestjs/schedule`, adopted or not? */
export function hasNestSchedule(taskClass: AdoptedClass): boolean {
  return methodsOf(taskClass).some(({ fn }) => scheduleOf(fn) !== undefined);
}

/**
 * Makes tasks of the methods that carry `@Cron`, `@Interval` or `@Timeout`, and takes that metadata off them, so that
 * `@nestjs/schedule` leaves them alone. A copy stays, so that a further application in this process adopts them too.
 * `now` is the instant from which a `@Timeout` counts, epoch milliseconds. Throws a ConfigurationError with every
 * schedule of the class that cannot be expressed.
 */
export function adoptMethods(taskClass: AdoptedClass, now: number): readonly AdoptedEntry[] {
  const schedules = new Map<string, NestScheduleMetadata>();
  for (const { method, fn } of methodsOf(taskClass)) {
    const schedule = scheduleOf(fn);
    if (schedule === undefined) continue;
    adopt(fn, schedule);
    schedules.set(method, schedule);
  }
  const problems: ConfigurationError['problems'][number][] = [];
  const entries = taskMethodsOf(taskClass).flatMap(({ method, name }) => {
    const schedule = schedules.get(method);
    if (schedule === undefined) return [];
    try {
      return [entryOf(schedule, { task: name, source: `${taskClass.name}.${method}`, now })];
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return entries;
}

/** Gives back what an application in this process that adopts has taken, for one that does not. */
export function returnMethods(taskClass: AdoptedClass): void {
  for (const { fn } of methodsOf(taskClass)) {
    const adopted = Reflect.getMetadata(TASK_ADOPTED_METADATA, fn) as Adopted | undefined;
    if (adopted === undefined) continue;
    for (const [key, value] of Object.entries(adopted.schedule)) Reflect.defineMetadata(key, value, fn);
    if (!adopted.task) Reflect.deleteMetadata(TASK_METADATA, fn);
    Reflect.deleteMetadata(TASK_ADOPTED_METADATA, fn);
  }
}

function methodsOf(taskClass: AdoptedClass): { readonly method: string; readonly fn: object }[] {
  const prototype = taskClass.prototype as Record<string, object>;
  return methodNames(prototype).map((method) => ({ method, fn: prototype[method] as object }));
}

function scheduleOf(fn: object): NestScheduleMetadata | undefined {
  const adopted = Reflect.getMetadata(TASK_ADOPTED_METADATA, fn) as Adopted | undefined;
  if (adopted !== undefined) return adopted.schedule;
  const found = NEST_SCHEDULE_KEYS.filter((key) => Reflect.hasMetadata(key, fn));
  if (!found.includes('SCHEDULER_TYPE')) return undefined;
  return Object.fromEntries(found.map((key) => [key, Reflect.getMetadata(key, fn) as unknown]));
}

function adopt(fn: object, schedule: NestScheduleMetadata): void {
  if (Reflect.hasMetadata(TASK_ADOPTED_METADATA, fn)) return;
  const adopted: Adopted = { schedule, task: Reflect.hasMetadata(TASK_METADATA, fn) };
  Reflect.defineMetadata(TASK_ADOPTED_METADATA, adopted, fn);
  for (const key of NEST_SCHEDULE_KEYS) Reflect.deleteMetadata(key, fn);
  if (!adopted.task) Reflect.defineMetadata(TASK_METADATA, {}, fn);
}

/**
 * What is late is skipped, as `@nestjs/schedule` does: it knows nothing of runs that fell due while no process was
 * there. Only a `@Timeout` is made up for. Options that concern one process (threshold, initialDelay, unrefTimeout)
 * have no meaning for a queue.
 */
function entryOf(
  schedule: NestScheduleMetadata,
  method: { readonly task: string; readonly source: string; readonly now: number },
): AdoptedEntry {
  const cron = schedule.SCHEDULE_CRON_OPTIONS as CronOptions | undefined;
  const interval = schedule.SCHEDULE_INTERVAL_OPTIONS as { readonly timeout: number } | undefined;
  const timeout = schedule.SCHEDULE_TIMEOUT_OPTIONS as { readonly timeout: number } | undefined;
  const name = schedule.SCHEDULER_NAME;
  const base = {
    name: typeof name === 'string' ? name : method.task,
    task: method.task,
    description: `Adopted from ${method.source}`,
  };
  const once = cron === undefined && interval === undefined;
  const when: Partial<ScheduleEntryInit> = once
    ? { clocked: new Date(method.now + (timeout?.timeout ?? Number.NaN)), misfire: 'one' }
    : { ...(interval === undefined ? ofCron(cron as CronOptions, method.source) : { every: interval.timeout }) };
  return { entry: declareEntry({ misfire: 'skip', ...base, ...when }), once };
}

function ofCron(cron: CronOptions, source: string): Partial<ScheduleEntryInit> {
  return {
    ...scheduleOfCron(cron, source),
    enabled: cron.disabled !== true,
    overlap: cron.waitForCompletion === true ? 'skip' : 'allow',
  };
}
