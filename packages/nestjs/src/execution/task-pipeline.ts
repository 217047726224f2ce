import { ContextIdFactory } from '@nestjs/core';
import type { TaskHandler } from '@taskqueue/core';
import { isTaskSignal } from '@taskqueue/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { TASK_ARGUMENTS_METADATA, TASK_CONTEXT_TYPE } from '../task-queue.constants.js';
import type { ContextCreators, InstanceWrapper, NestContainer, ProviderClass } from './nest-internals.js';
import {
  BODY_ARGUMENT,
  contextCreators,
  ExecutionContextHost,
  hasEnhancers,
  hasFilters,
  invokeFilters,
  scopedInstance,
} from './nest-internals.js';
import { asRefusal } from './refusal.js';
import type { TaskHostArguments } from './task-execution.context.js';
import type { TaskParameters } from './task-parameters.js';

/**
 * Which of Nest's enhancers run around tasks. `local` (default): those on the class, the method and the parameters.
 * `all`: the application's global ones too, which must then understand the context type `task`. `none`: only
 * parameter decorators and pipes.
 */
export type Enhancers = 'none' | 'local' | 'all';

type Method = (...args: unknown[]) => unknown;
type Proxy = (args: readonly unknown[], context: unknown) => Promise<unknown>;

/** A task method in its provider. */
export interface PipelineTarget {
  readonly wrapper: InstanceWrapper;
  readonly taskClass: ProviderClass;
  readonly method: string;
  readonly parameters: TaskParameters;
}

/**
 * Wraps a provider's method in Nest's pipeline and makes a task handler of it:
 *
 * ```text
 *   guards ─► interceptors ─► pipes ─► method ─► interceptors ─► result
 *                       errors ─► exception filters: a value handles, a throw goes on
 *                       signals (retry, snooze, …) pass by the filters
 * ```
 *
 * The pipeline of a static provider is built once, and left out where it has nothing to do. One with request scope in its tree gets a context id, and so its
 * own instances, for each run; `@Inject(REQUEST)` gives the {@link TaskContext}.
 */
export class TaskPipeline {
  private readonly creators: ContextCreators;

  constructor(
    container: NestContainer,
    private readonly enhancers: Enhancers,
  ) {
    this.creators = contextCreators(container, enhancers === 'all' ? 'with-globals' : 'local-only');
  }

  handler(target: PipelineTarget): TaskHandler {
    const { taskClass, method, parameters } = target;
    Reflect.defineMetadata(TASK_ARGUMENTS_METADATA, declaredArguments(parameters), taskClass, method);
    return this.runner(target);
  }

  private runner(target: PipelineTarget): TaskHandler {
    const { wrapper, method, parameters } = target;
    // The static instance of a transient provider is only a placeholder.
    if (wrapper.isDependencyTreeStatic() && !wrapper.isTransient) {
      const instance = wrapper.instance as object;
      if (this.isPlain(target, instance)) return plainMethod(instance, method, parameters.positional.length);
      const proxy = this.proxy(wrapper, instance, method);
      return ({ args, context }) => proxy(args, context);
    }
    return async ({ args, context }) => {
      const contextId = ContextIdFactory.getByRequest(context);
      const instance = await scopedInstance(wrapper, contextId, context);
      return this.proxy(wrapper, instance, method, contextId)(args, context);
    };
  }

  /** Nothing runs around the method, and nothing but its arguments goes into it. */
  private isPlain({ method, parameters }: PipelineTarget, instance: object): boolean {
    if (this.enhancers === 'all' || Object.keys(parameters.decorated).length > 0) return false;
    return !hasEnhancers(instance.constructor, (instance as Record<string, Method>)[method] as Method);
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
        throw asRefusal(error);
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
        const handled = await invokeFilters(this.creators, place, error, host, contextId);
        const value = isObservable(handled) ? await lastValueFrom(handled, { defaultValue: undefined }) : handled;
        // Nothing returned is nothing handled: a filter that only logs must not turn a failure into a success.
        if (value === undefined) throw error;
        return value;
      }
    };
  }
}

/** What Nest's pipeline does where it has nothing to do, without its cost for each run; an async function would be half of that. */
function plainMethod(instance: object, method: string, count: number): TaskHandler {
  const callback = (instance as Record<string, Method>)[method] as Method;
  return ({ args }) => {
    try {
      const value = callback.apply(instance, args.length === count ? (args as unknown[]) : fitted(args, count));
      return value instanceof Promise ? value.then(lastOf, refuse) : lastOf(value);
    } catch (error) {
      throw asRefusal(error);
    }
  };
}

function lastOf(value: unknown): unknown {
  return isObservable(value) ? lastValueFrom(value, { defaultValue: undefined }).catch(refuse) : value;
}

function refuse(error: unknown): never {
  throw asRefusal(error);
}

/** A parameter that got no argument is undefined; an argument without a parameter is not given. */
function fitted(args: readonly unknown[], count: number): unknown[] {
  const values: unknown[] = [];
  for (let index = 0; index < count; index += 1) values.push(args[index]);
  return values;
}

/**
 * Nest runs pipes only for parameters that have metadata, so every parameter gets some: those with a decorator keep
 * theirs, each other one takes the argument at its own place.
 */
function declaredArguments({ decorated, positional }: TaskParameters): Record<string, unknown> {
  const plain = positional.map((index, position) => [
    `${BODY_ARGUMENT}:${index}`,
    { index, data: position, pipes: [] },
  ]);
  return { ...decorated, ...Object.fromEntries(plain) };
}

function argumentAt(args: unknown, position: unknown): unknown {
  return (args as TaskHostArguments)[0][position as number];
}
