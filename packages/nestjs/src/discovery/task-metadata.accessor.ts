import 'reflect-metadata';
import type { TaskOptions } from '@taskqueue/core';
import type { DeclaredListener } from '../decorators/on-event.decorator.js';
import type { DeclaredSchedule } from '../decorators/schedule.decorator.js';
import type { TaskHostOptions } from '../decorators/shared-task.decorator.js';
import {
  EVENT_LISTENER_METADATA,
  TASK_HOST_METADATA,
  TASK_METADATA,
  TASK_SCHEDULES_METADATA,
} from '../task-queue.constants.js';

/** A task method as its decorators describe it. */
export interface TaskMethod {
  readonly method: string;
  /** Wire name: the method's own, or prefix and method. */
  readonly name: string;
  readonly options: TaskOptions;
  readonly schedules: readonly DeclaredSchedule[];
}

/** The task methods of a class, its own and inherited ones. Nowhere else is task metadata read. */
export function taskMethodsOf(taskClass: {
  readonly prototype: unknown;
  readonly name: string;
}): readonly TaskMethod[] {
  const host = (Reflect.getMetadata(TASK_HOST_METADATA, taskClass) ?? {}) as TaskHostOptions;
  const { name: prefix = taskClass.name, ...defaults } = host;
  return methodNames(taskClass.prototype).flatMap((method) => {
    const fn = (taskClass.prototype as Record<string, unknown>)[method];
    if (typeof fn !== 'function') return [];
    const own = Reflect.getMetadata(TASK_METADATA, fn) as TaskOptions | undefined;
    if (own === undefined) return [];
    const options: TaskOptions = { ...defaults, ...own };
    const schedules = (Reflect.getMetadata(TASK_SCHEDULES_METADATA, fn) ?? []) as readonly DeclaredSchedule[];
    return [{ method, name: options.name ?? `${prefix}.${method}`, options, schedules }];
  });
}

/** The methods of a class, its own and inherited ones, that listen for events. */
export function listenerMethodsOf(provider: {
  readonly prototype: unknown;
}): readonly { readonly method: string; readonly listeners: readonly DeclaredListener[] }[] {
  const prototype = provider.prototype as Record<string, object>;
  return methodNames(prototype).flatMap((method) => {
    const fn = prototype[method];
    if (typeof fn !== 'function') return [];
    const listeners = Reflect.getMetadata(EVENT_LISTENER_METADATA, fn) as readonly DeclaredListener[] | undefined;
    return listeners === undefined ? [] : [{ method, listeners }];
  });
}

/** Methods that have a schedule of ours and are no tasks. */
export function methodsScheduledOnly(taskClass: { readonly prototype: unknown }): readonly string[] {
  const prototype = taskClass.prototype as Record<string, object>;
  return methodNames(prototype).filter((method) => {
    const fn = prototype[method] as object;
    return Reflect.hasMetadata(TASK_SCHEDULES_METADATA, fn) && !Reflect.hasMetadata(TASK_METADATA, fn);
  });
}

/** Names of all methods; getters are not touched. */
export function methodNames(prototype: unknown): readonly string[] {
  const names = new Set<string>();
  for (
    let level = prototype;
    level !== null && level !== undefined && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (name !== 'constructor' && typeof descriptor.value === 'function') names.add(name);
    }
  }
  return [...names];
}
