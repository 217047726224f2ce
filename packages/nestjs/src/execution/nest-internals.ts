/**
 * The only file that imports what Nest does not declare public. It builds the same context creators that Nest uses for
 * its own external contexts, with or without the application's global enhancers.
 */
import { ApplicationConfig } from '@nestjs/core';
import { ExternalExceptionFilterContext } from '@nestjs/core/exceptions/external-exception-filter-context.js';
import { GuardsConsumer } from '@nestjs/core/guards/guards-consumer.js';
import { GuardsContextCreator } from '@nestjs/core/guards/guards-context-creator.js';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { ExternalContextCreator } from '@nestjs/core/helpers/external-context-creator.js';
import type { NestContainer } from '@nestjs/core/injector/container.js';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { Module } from '@nestjs/core/injector/module.js';
import { InterceptorsConsumer } from '@nestjs/core/interceptors/interceptors-consumer.js';
import { InterceptorsContextCreator } from '@nestjs/core/interceptors/interceptors-context-creator.js';
import { PipesConsumer } from '@nestjs/core/pipes/pipes-consumer.js';
import { PipesContextCreator } from '@nestjs/core/pipes/pipes-context-creator.js';

export type { InstanceWrapper, Module, NestContainer };
export { ExecutionContextHost };

/** Nest keeps a method's parameter decorators under this key, on the class. */
export const ROUTE_ARGUMENTS = '__routeArguments__';
const EXCEPTION_FILTERS = '__exceptionFilters__';

type Callback = (...args: unknown[]) => unknown;

/** Makes pipelines for handlers: guards, pipes, interceptors. */
export interface ContextCreators {
  readonly external: ExternalContextCreator;
  readonly filters: ExternalExceptionFilterContext;
}

export function contextCreators(container: NestContainer, globals: 'with-globals' | 'local-only'): ContextCreators {
  const config =
    globals === 'with-globals'
      ? (container as unknown as { applicationConfig: ApplicationConfig }).applicationConfig
      : new ApplicationConfig();
  const modules = container.getModules();
  const external = new ExternalContextCreator(
    new GuardsContextCreator(container, config),
    new GuardsConsumer(),
    new InterceptorsContextCreator(container, config),
    new InterceptorsConsumer(),
    modules,
    new PipesContextCreator(container as never, config),
    new PipesConsumer(),
    new ExternalExceptionFilterContext(container, config),
  );
  return { external, filters: new ExternalExceptionFilterContext(container, config) };
}

/** Does the method or its class carry exception filters? */
export function hasFilters(taskClass: object, method: object): boolean {
  return [taskClass, method].some((target) => Reflect.getMetadata(EXCEPTION_FILTERS, target) !== undefined);
}

/** Hands an error to the filter that catches it. `undefined`: none does. */
export function invokeFilters(
  creators: ContextCreators,
  host: {
    readonly instance: object;
    readonly callback: Callback;
    readonly moduleKey: string;
    readonly inquirerId: string;
  },
  error: unknown,
  args: ExecutionContextHost,
  contextId?: object,
): unknown {
  const handler = creators.filters.create(
    host.instance,
    host.callback as never,
    host.moduleKey,
    contextId as never,
    host.inquirerId,
  );
  return (handler as unknown as { invokeCustomFilters(error: unknown, host: unknown): unknown }).invokeCustomFilters(
    error,
    args,
  );
}
