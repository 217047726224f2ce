import type { Signature } from '../canvas/signature.js';
import type { TaskContext } from '../task/task-context.js';
import type { ApplyOptions } from './task-call.js';
import type { TaskHandle } from './task-handle.js';

/** What an asynchronous method gives in the end; `never` for a synchronous one. */
type Eventual<R> = R extends PromiseLike<infer V> ? V : R extends ObservableLike<infer V> ? V : never;

/** The part of an rxjs Observable that tells its type, so that core needs no rxjs. */
interface ObservableLike<V> {
  forEach(next: (value: V) => void): Promise<void>;
}

type IsAny<T> = 0 extends 1 & T ? true : false;

type IsContext<T> = IsAny<T> extends true ? false : [T] extends [TaskContext | undefined] ? true : false;

/** The arguments that a caller gives: without a trailing context parameter. */
export type CallerArguments<A extends readonly unknown[]> = A extends readonly [...infer Rest, infer Last]
  ? IsContext<Last> extends true
    ? Rest
    : A
  : A extends readonly [...infer Rest, (infer Last)?]
    ? IsContext<Last> extends true
      ? Rest
      : A
    : A;

/** How a task is called. `A` are its arguments, `R` is the type of its result. */
export interface TaskCaller<A extends readonly unknown[], R> {
  /** Wire name. */
  readonly taskName: string;
  /** Sends the task. */
  delay(...args: A): Promise<TaskHandle<R>>;
  /** Sends the task with options. */
  applyAsync(args: A, options?: ApplyOptions): Promise<TaskHandle<R>>;
  /** Sends many calls in one round trip. */
  bulk(calls: readonly A[], options?: Omit<ApplyOptions, 'taskId'>): Promise<TaskHandle<R>[]>;
  /** The call as a value, for links and workflows. */
  s(...args: Partial<A> extends A ? A : Partial<A> | A): Signature<R>;
  /** The same, but it ignores the result of the task before it. */
  si(...args: A): Signature<R>;
  /** Runs one attempt in this process, now, through the whole pipeline; for tests and scripts. */
  call(...args: A): Promise<R>;
}

/** The asynchronous public methods of `T` as tasks. Private and synchronous ones do not show. */
export type TaskMethods<T> = {
  readonly [
    K in keyof T as T[K] extends (...args: never[]) => infer R ? ([Eventual<R>] extends [never] ? never : K) : never
  ]: T[K] extends (...args: infer A) => infer R ? TaskCaller<CallerArguments<A>, Eventual<R>> : never;
};
