import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { ConfigurationProblem } from '@taskqueue/core';
import { ConfigurationError, isClusterEventType } from '@taskqueue/core';
import type { DeclaredListener } from '../decorators/on-event.decorator.js';
import type { EventListener } from '../events/event-hub.js';
import { PROCESS_EVENT_TYPES } from '../events/process-event.js';
import type { InstanceWrapper } from '../execution/nest-internals.js';
import { classOf } from '../execution/nest-internals.js';
import { listenerMethodsOf } from './task-metadata.accessor.js';

/** Finds the methods of providers that listen for events. */
@Injectable()
export class EventExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  /** Throws a ConfigurationError with the problems of all. */
  explore({ carriesEvents }: { readonly carriesEvents: boolean }): readonly EventListener[] {
    const problems: ConfigurationProblem[] = [...this.controllersThatListen()];
    const listeners: EventListener[] = [];
    for (const wrapper of this.providers()) {
      for (const { source, method, declared } of declarationsOf(wrapper)) {
        const found = problemsOf(declared, { source, wrapper, carriesEvents });
        problems.push(...found);
        if (found.length === 0) listeners.push(listenerOf(wrapper, source, method, declared));
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    return listeners;
  }

  /** Each once, although several modules or tokens may give the same object. */
  private providers(): readonly InstanceWrapper[] {
    const seen = new Set<unknown>();
    return this.discovery.getProviders().filter((wrapper) => {
      const key: unknown = wrapper.instance ?? wrapper;
      if (wrapper.isAlias || seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }

  private controllersThatListen(): readonly ConfigurationProblem[] {
    return this.discovery.getControllers().flatMap((wrapper) =>
      declarationsOf(wrapper).map(({ source, declared }) => ({
        path: source,
        expected: 'a listener to be a method of a provider, not of a controller',
        value: declared.types.join(', '),
        remedy: 'Move the method to a provider.',
      })),
    );
  }
}

function declarationsOf(wrapper: InstanceWrapper) {
  const provider = classOf(wrapper);
  if (provider === undefined) return [];
  return listenerMethodsOf(provider).flatMap(({ method, listeners }) =>
    listeners.map((declared) => ({ source: `${provider.name}.${method}`, method, declared })),
  );
}

function problemsOf(
  { types, scope, family }: DeclaredListener,
  at: { readonly source: string; readonly wrapper: InstanceWrapper; readonly carriesEvents: boolean },
): readonly ConfigurationProblem[] {
  const path = at.source;
  if (scope !== 'process' && scope !== 'cluster') {
    return [{ path, expected: 'the scope process or cluster', value: scope }];
  }
  const known = PROCESS_EVENT_TYPES.filter((type) => type.startsWith(family));
  const isKnown = (type: string): boolean =>
    scope === 'cluster' ? isClusterEventType(type) && type.startsWith(family) : known.includes(type as never);
  const unknown = types.filter((type) => !isKnown(type));
  const problems: ConfigurationProblem[] = [];
  if (types.length === 0 || unknown.length > 0) {
    const expected =
      scope === 'cluster' ? 'types of events that docs/events.md lists for the cluster' : known.join(', ');
    problems.push({ path, expected, value: types.length === 0 ? types : unknown.join(', ') });
  }
  if (at.wrapper.isTransient || !at.wrapper.isDependencyTreeStatic()) {
    problems.push({
      path,
      expected: 'a provider that is made once',
      value: 'a provider of request or transient scope',
      remedy: 'Move the listener to a provider of the default scope: an event belongs to no request.',
    });
  }
  if (scope === 'cluster' && !at.carriesEvents) {
    problems.push({ path, expected: 'a broker that carries events', value: 'one that has no pub/sub' });
  }
  return problems;
}

function listenerOf(
  wrapper: InstanceWrapper,
  source: string,
  method: string,
  { types, scope }: DeclaredListener,
): EventListener {
  const call = (event: unknown): unknown =>
    (wrapper.instance as Record<string, (event: unknown) => unknown>)[method]?.(event);
  return { source, scope, types: new Set(types), call };
}
