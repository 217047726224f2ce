import { SetMetadata } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { TaskOptions, TaskSchema } from '@taskqueue/core';
import { TASK_HOST_METADATA, TASK_METADATA } from '../task-queue.constants.js';

/** What a schema gives to the handler. */
type SchemaOutput<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : S extends new () => infer Dto
    ? Dto
    : unknown;

/** Arguments that a method must accept for its schemas to fit; more may follow. */
type SchemaArguments<S> = S extends readonly TaskSchema[] ? { [K in keyof S]: SchemaOutput<S[K]> } : [SchemaOutput<S>];

/** A decorator that fits only on methods whose first parameters take what the schema gives. */
type TaskDecorator<S> = <M extends (...args: never[]) => unknown>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M> &
    (undefined extends S ? unknown : Accepts<M, SchemaArguments<NonNullable<S>>>),
) => void;

type Accepts<M, A extends readonly unknown[]> = M extends (...args: infer P) => unknown
  ? A extends Prefix<P, A['length']>
    ? unknown
    : { readonly 'the parameters of the method do not take what the schema gives': A }
  : never;

/** The first `N` of `P`, all of which must be given; one that is optional takes `undefined`. `never`: `P` has fewer. */
type Prefix<
  P extends readonly unknown[],
  N extends number,
  Taken extends readonly unknown[] = [],
> = Taken['length'] extends N
  ? Taken
  : P extends readonly []
    ? never
    : P extends readonly [infer First, ...infer Rest]
      ? Prefix<Rest, N, readonly [...Taken, First]>
      : P extends readonly [(infer First)?, ...infer Rest]
        ? Prefix<Rest, N, readonly [...Taken, First | undefined]>
        : readonly [...Taken, ...unknown[]];

/**
 * Makes a method of any provider a task. It knows no application: the module that provides the class stays reusable,
 * and the task exists wherever the class is provided. Options and their defaults are those of {@link TaskOptions}.
 *
 * ```ts
 * @SharedTask({ queue: 'mail', retry: { for: [SmtpError], max: 5, backoff: 'exponential' }, timeLimit: '30s' })
 * async sendWelcome(userId: number): Promise<{ messageId: string }> { … }
 * ```
 */
export function SharedTask<const S extends TaskSchema | readonly TaskSchema[] | undefined = undefined>(
  options: Omit<TaskOptions, 'schema' | 'bind'> & { readonly schema?: S } = {},
): TaskDecorator<S> {
  return SetMetadata(TASK_METADATA, options) as TaskDecorator<S>;
}

/** Defaults for all tasks of a class. */
export interface TaskHostOptions extends Omit<TaskOptions, 'name' | 'schema' | 'params' | 'bind'> {
  /** Prefix of the tasks' names instead of the class name: `prefix.method`. */
  readonly name?: string;
}

/** Gives the tasks of a class a common name prefix and common options; what a method says itself wins. */
export function TaskHost(options: TaskHostOptions = {}): ClassDecorator {
  return SetMetadata(TASK_HOST_METADATA, options);
}
