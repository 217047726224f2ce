/**
 * The only file that imports what Nest does not declare public. It builds the same context creators that Nest uses for
 * its own external contexts, with or without the application's global enhancers.
 */
import type { ContextId } from '@nestjs/core';
import { ApplicationConfig, ModuleRef } from '@nestjs/core';
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
import { isObservable, lastValueFrom } from 'rxjs';

export type { InstanceWrapper, Module, NestContainer };
export { ExecutionContextHost };

/** Nest keeps a method's parameter decorators under this key, on the class. */
export const ROUTE_ARGUMENTS = '__routeArguments__';
/** Part of the keys of decorators that `createParamDecorator` made. */
export const CUSTOM_ARGUMENT = '__customRouteArgs__';
/** Nest's parameter type of a request body. Pipes see `type: 'body'`: a ValidationPipe passes all but a few types by. */
export const BODY_ARGUMENT = 3;
const EXCEPTION_FILTERS = '__exceptionFilters__';
const ENHANCERS = ['__guards__', '__interceptors__', '__pipes__', EXCEPTION_FILTERS];

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
  const external = new TaskContextCreator(
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

class TaskContextCreator extends ExternalContextCreator {
  /** Nest's own fails for an Observable that ends without a value; a task that ends without one has done its work. */
  override transformToResult(result: unknown): Promise<unknown> {
    return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : Promise.resolve(result);
  }
}

/** Does the method or its class carry guards, interceptors, pipes or exception filters? */
export function hasEnhancers(taskClass: object, method: object): boolean {
  return [taskClass, method].some((target) =>
    ENHANCERS.some((key) => ((Reflect.getMetadata(key, target) ?? []) as unknown[]).length > 0),
  );
}

/** Does the method or its class carry exception filters? */
export function hasFilters(taskClass: object, method: object): boolean {
  return [taskClass, method].some((target) => Reflect.getMetadata(EXCEPTION_FILTERS, target) !== undefined);
}

/** A class as far as it is looked at here. */
export interface ProviderClass {
  readonly prototype: unknown;
  readonly name: string;
}

/** The class behind a provider, also of one given by value or factory; undefined for what is no object of a class. */
export function classOf(wrapper: InstanceWrapper): ProviderClass | undefined {
  const given = wrapper.isNotMetatype || Array.isArray(wrapper.inject);
  const found: unknown = given ? (wrapper.instance as object | null | undefined)?.constructor : wrapper.metatype;
  return typeof found === 'function' && found !== Object ? (found as unknown as ProviderClass) : undefined;
}

/**
 * Enhancer classes on the class or method that Nest has not made: it looks for enhancers on classes in `providers` only,
 * not behind factories and values, and would leave them out without a word.
 */
export function missingEnhancers(wrapper: InstanceWrapper, taskClass: object, method: object): string[] {
  const enhancers = [taskClass, method].flatMap((target) =>
    ENHANCERS.flatMap((key) => (Reflect.getMetadata(key, target) ?? []) as unknown[]),
  );
  return enhancers
    .filter((enhancer) => typeof enhancer === 'function')
    .filter((enhancer) => wrapper.host?.injectables.has(enhancer as never) !== true)
    .map((enhancer) => (enhancer as { name: string }).name);
}

/** The provider's instance for one run. `request` becomes `REQUEST`, or its payload does where the tree is durable. */
export function scopedInstance(wrapper: InstanceWrapper, contextId: ContextId, request: object): Promise<object> {
  const host = wrapper.host?.providers.get(ModuleRef)?.instance as ModuleRef;
  const payload = contextId.payload as object | undefined;
  if (wrapper.isDependencyTreeDurable()) host.registerRequestByContextId(payload, contextId);
  else host.registerRequestByContextId(withPayload(request, payload), contextId);
  return host.resolve(wrapper.token as never, contextId);
}

/** As Nest's router does, so that a durable provider below one of request scope finds its payload. */
function withPayload(request: object, payload: object = {}): object {
  for (const [key, value] of Object.entries(payload)) {
    if (!(key in request)) Object.defineProperty(request, key, { value, enumerable: true });
  }
  return request;
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
