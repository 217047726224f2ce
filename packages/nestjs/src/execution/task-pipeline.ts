import { HttpException } from '@nestjs/common';
import { ContextIdFactory, ModuleRef } from '@nestjs/core';
import type { TaskHandler, TaskInvocation } from '@taskqueue/core';
import { isTaskSignal, Reject } from '@taskqueue/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { TASK_ARGUMENTS_METADATA, TASK_CONTEXT_TYPE } from '../task-queue.constants.js';
import type { ContextCreators, InstanceWrapper, NestContainer } from './nest-internals.js';
import { contextCreators, ExecutionContextHost, hasFilters, invokeFilters, ROUTE_ARGUMENTS } from './nest-internals.js';
import type { TaskHostArguments } from './task-execution.context.js';

/**
 * Which of Nest's enhancers run around tasks. `local` (default): those on the class, the method and the parameters.
 * `all`: the application's global ones too, which must then understand the context type `task`. `none`: only
 * parameter decorators and pipes.
 */
export type Enhancers = 'none' | 'local' | 'all';

type Method = (...args: unknown[]) => unknown;
type Proxy = (args: readonly unknown[], context: unknown) => Promise<unknown>;

/** Refusals by status: what a guard or a pipe says no to is not retried. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 422]);

/**
 * Wraps a provider's method in Nest's pipeline and makes a task handler of it:
 *
 * ```text
 *   guards ─► interceptors ─► pipes ─► method ─► interceptors ─► result
 *                       errors ─► exception filters: a value handles, a throw goes on
 *                       signals (retry, snooze, …) pass by the filters
 * ```
 *
 * The pipeline of a static provider is built once. One with request scope in its tree gets a context id, and so its
 * own instances, for each run; `@Inject(REQUEST)` gives the {@link TaskContext}.
 */
export class TaskPipeline {
  private readonly creators: ContextCreators;

  constructor(
    private readonly moduleRef: ModuleRef,
    container: NestContainer,
    private readonly enhancers: Enhancers,
  ) {
    this.creators = contextCreators(container, enhancers === 'all' ? 'with-globals' : 'local-only');
  }

  handler(wrapper: InstanceWrapper, method: string): TaskHandler {
    const taskClass = classOf(wrapper);
    declareArguments(taskClass, method);
    if (wrapper.isDependencyTreeStatic()) {
      const proxy = this.proxy(wrapper, wrapper.instance as object, method);
      return ({ args, context }) => proxy(args, context);
    }
    return (invocation) => this.runScoped(wrapper, method, invocation);
  }

  private async runScoped(
    wrapper: InstanceWrapper,
    method: string,
    { args, context }: TaskInvocation,
  ): Promise<unknown> {
    const contextId = ContextIdFactory.getByRequest(context);
    this.moduleRef.registerRequestByContextId(context, contextId);
    const instance: object = await this.moduleRef.resolve(wrapper.token as never, contextId, { strict: false });
    return this.proxy(wrapper, instance, method, contextId)(args, context);
  }

  private proxy(wrapper: InstanceWrapper, instance: object, method: string, contextId?: object): Proxy {
    const callback = (instance as Record<string, Method>)[method] as Method;
    const on = this.enhancers !== 'none';
    const target = this.creators.external.create(
      instance as never,
      callback as never,
      method,
      TASK_ARGUMENTS_METADATA,
      { exchangeKeyForValue: (_type: unknown, index: unknown, args: unknown) => argumentAt(args, index) } as never,
      contextId as never,
      wrapper.id,
      // Filters are asked below, so that signals pass them by.
      { guards: on, interceptors: on, filters: false },
      TASK_CONTEXT_TYPE as never,
    ) as unknown as Proxy;
    const filtered =
      on && (this.enhancers === 'all' || hasFilters(instance.constructor, callback))
        ? this.withFilters(target, wrapper, instance, callback, contextId)
        : target;
    return async (args, context) => {
      try {
        return await filtered(args, context);
      } catch (error) {
        throw isRefusal(error) ? new Reject(refusalText(error), { cause: error }) : error;
      }
    };
  }

  private withFilters(
    target: Proxy,
    wrapper: InstanceWrapper,
    instance: object,
    callback: Method,
    contextId?: object,
  ): Proxy {
    const place = { instance, callback, moduleKey: wrapper.host?.token ?? '', inquirerId: wrapper.id };
    return async (args, context) => {
      try {
        return await target(args, context);
      } catch (error) {
        if (isTaskSignal(error)) throw error;
        const host = new ExecutionContextHost([args, context], instance.constructor as never, callback as never);
        host.setType(TASK_CONTEXT_TYPE);
        const handled = invokeFilters(this.creators, place, error, host, contextId);
        if (handled === undefined) throw error;
        return isObservable(handled) ? lastValueFrom(handled) : await (handled as Promise<unknown>);
      }
    };
  }
}

/** The class behind a provider, also one given by value or factory. */
export function classOf(wrapper: InstanceWrapper): { readonly prototype: unknown; readonly name: string } {
  const given = wrapper.metatype === null || wrapper.inject !== null;
  const metatype: unknown = given ? (wrapper.instance as object | undefined)?.constructor : wrapper.metatype;
  return metatype as { readonly prototype: unknown; readonly name: string };
}

/**
 * Nest runs pipes only for parameters that have metadata, so every parameter gets some: those with a decorator keep
 * theirs, each other one takes the argument at its own place.
 */
function declareArguments(taskClass: { readonly prototype: unknown }, method: string): void {
  const prototype = taskClass.prototype as object;
  const existing = (Reflect.getMetadata(ROUTE_ARGUMENTS, taskClass, method) ?? {}) as Record<
    string,
    { readonly index: number }
  >;
  const types = (Reflect.getMetadata('design:paramtypes', prototype, method) ?? []) as unknown[];
  const count = Math.max(types.length, (prototype as Record<string, Method>)[method]?.length ?? 0);
  const decorated = new Set(Object.values(existing).map((one) => one.index));
  const declared: Record<string, unknown> = { ...existing };
  for (let index = 0, position = 0; index < count; index += 1) {
    if (decorated.has(index)) continue;
    // The key's first part is Nest's numeric parameter type; any that it does not use itself will do.
    declared[`1000:${index}`] = { index, data: position, pipes: [] };
    position += 1;
  }
  Reflect.defineMetadata(TASK_ARGUMENTS_METADATA, declared, taskClass, method);
}

function argumentAt(args: unknown, index: unknown): unknown {
  return (args as TaskHostArguments)[0][index as number];
}

function isRefusal(error: unknown): error is HttpException {
  return error instanceof HttpException && REFUSALS.has(error.getStatus());
}

function refusalText(error: HttpException): string {
  const response = error.getResponse();
  const message = typeof response === 'object' ? (response as { message?: unknown }).message : response;
  return Array.isArray(message) ? message.join('; ') : String(message ?? error.message);
}
