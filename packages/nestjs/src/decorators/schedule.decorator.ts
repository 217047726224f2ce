import type { CrontabSpec, Duration, ScheduleEntryInit, SolarSpec } from '@taskqueue/core';
import { TASK_SCHEDULES_METADATA } from '../task-queue.constants.js';

/** Options of a schedule that a decorator declares; the task is the method. */
export interface ScheduleDecoratorOptions extends Omit<
  ScheduleEntryInit,
  'name' | 'task' | 'every' | 'crontab' | 'clocked' | 'solar'
> {
  /** Name of the entry; unique. Default: the task's name, numbered when a method carries several schedules. */
  readonly scheduleName?: string;
}

/** What a method declares, before its task name is known. */
export type DeclaredSchedule = Omit<ScheduleEntryInit, 'name' | 'task'> & { readonly name?: string };

/** Runs the task every so often, on a fixed grid: `@Every('10s')`. */
export function Every(interval: Duration, options: ScheduleDecoratorOptions = {}): MethodDecorator {
  return schedule({ every: interval }, options);
}

/**
 * Runs the task by Celery's crontab: `@Crontab({ hour: '15', minute: '0', timezone: 'Europe/Berlin' })` or
 * `@Crontab('0 15 * * mon-fri')`. Numbers are accepted for single values.
 */
export function Crontab(fields: string | CrontabFields, options: ScheduleDecoratorOptions = {}): MethodDecorator {
  return schedule({ crontab: typeof fields === 'string' ? fields : crontabSpec(fields) }, options);
}

/** Runs the task once, at an instant. */
export function Clocked(at: Date, options: ScheduleDecoratorOptions = {}): MethodDecorator {
  return schedule({ clocked: at }, options);
}

/** Runs the task at an event of the sun. */
export function Solar(event: Omit<SolarSpec, 'kind'>, options: ScheduleDecoratorOptions = {}): MethodDecorator {
  return schedule({ solar: event }, options);
}

type NumberOrText<T> = { [K in keyof T]: T[K] extends string | undefined ? T[K] | number : T[K] };

/** The fields of a crontab; a number stands for its text. */
export type CrontabFields = NumberOrText<
  Pick<CrontabSpec, 'minute' | 'hour' | 'dayOfMonth' | 'monthOfYear' | 'dayOfWeek'>
> &
  Pick<CrontabSpec, 'timezone' | 'gap' | 'dayRule'>;

function crontabSpec(fields: CrontabFields): Omit<CrontabSpec, 'kind'> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'number' ? String(value) : value]),
  );
}

function schedule(
  when: Pick<ScheduleEntryInit, 'every' | 'crontab' | 'clocked' | 'solar'>,
  options: ScheduleDecoratorOptions,
): MethodDecorator {
  const { scheduleName, ...rest } = options;
  const declared: DeclaredSchedule = {
    ...rest,
    ...when,
    ...(scheduleName === undefined ? {} : { name: scheduleName }),
  };
  return (_target, _property, descriptor) => {
    const method = descriptor.value as object;
    const existing = (Reflect.getMetadata(TASK_SCHEDULES_METADATA, method) ?? []) as DeclaredSchedule[];
    // Decorators run from the bottom up; the list keeps the order of reading.
    Reflect.defineMetadata(TASK_SCHEDULES_METADATA, [declared, ...existing], method);
  };
}
