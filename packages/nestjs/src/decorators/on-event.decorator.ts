import { SetMetadata } from '@nestjs/common';
import type { ClusterEventOf, ClusterEventType } from '@taskqueue/core';
import type { ProcessEventOf, ProcessEventType } from '../events/process-event.js';
import { EVENT_LISTENER_METADATA } from '../task-queue.constants.js';

/** Where an event is listened for. */
export type EventScope = 'process' | 'cluster';

/** Which events a method hears: of this process, or of all. */
export interface OnEventOptions<S extends EventScope> {
  /**
   * `process`: what this process does itself. `cluster`: what the workers and clients of all processes tell over the broker,
   * Python's too, as far as they are told to (settings `worker.events`, `client.sentEvents`). Default `process`.
   */
  readonly scope?: S;
}

/** Of a method: what it listens for. Decorators may be repeated. */
export interface DeclaredListener {
  readonly types: readonly string[];
  readonly scope: EventScope;
  /** What the types begin with: `task-`. */
  readonly family: string;
}

type EventOf<S extends EventScope, T extends string> = S extends 'cluster'
  ? ClusterEventOf<Extract<T, ClusterEventType>>
  : ProcessEventOf<Extract<T, ProcessEventType>>;

type TypesOf<S extends EventScope, Family extends string> = Extract<
  S extends 'cluster' ? ClusterEventType : ProcessEventType,
  `${Family}-${string}`
>;

/** A decorator that fits only on methods that take the event. */
type ListenerDecorator<E> = <M extends (event: E) => unknown>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/**
 * Calls a method of a provider for each event of a type, or of several, that happens to a task. The method sees what happens
 * and changes nothing: it is not waited for, and its errors are logged. The types are in docs/events.md.
 *
 * ```ts
 * @OnTaskEvent('task-failed')
 * alert({ task, failure }: ProcessEventOf<'task-failed'>) { … }
 *
 * @OnTaskEvent(['task-failed', 'task-retried'], { scope: 'cluster' })
 * count({ hostname, exception }: ClusterEventOf<'task-failed' | 'task-retried'>) { … }
 * ```
 */
export function OnTaskEvent<const T extends TypesOf<S, 'task'>, const S extends EventScope = 'process'>(
  types: T | readonly T[],
  options: OnEventOptions<S> = {},
): ListenerDecorator<EventOf<S, T>> {
  return listener('task-', types, options.scope);
}

/** The same for what happens to a worker: it starts, takes tasks, sends a heartbeat, stops, has stopped, has failed. */
export function OnWorkerEvent<const T extends TypesOf<S, 'worker'>, const S extends EventScope = 'process'>(
  types: T | readonly T[],
  options: OnEventOptions<S> = {},
): ListenerDecorator<EventOf<S, T>> {
  return listener('worker-', types, options.scope);
}

/** The same for the beat of this process: it starts, watches the schedules, has stopped. */
export function OnBeatEvent<const T extends TypesOf<'process', 'beat'>>(
  types: T | readonly T[],
): ListenerDecorator<ProcessEventOf<T>> {
  return listener('beat-', types);
}

function listener(family: string, types: string | readonly string[], scope: EventScope = 'process') {
  const declared: DeclaredListener = { family, scope, types: [types].flat() };
  return (target: object, property: string | symbol, descriptor: PropertyDescriptor): void => {
    const method = descriptor.value as object;
    const before = (Reflect.getOwnMetadata(EVENT_LISTENER_METADATA, method) ?? []) as readonly DeclaredListener[];
    SetMetadata(EVENT_LISTENER_METADATA, [...before, declared])(target, property, descriptor);
  };
}
