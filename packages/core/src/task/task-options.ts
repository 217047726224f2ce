import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Duration } from '../config/duration.js';
import type { RateLimitInit } from './rate-limit.js';
import type { ErrorMatcher, RetryOptionsInit } from './retry-policy.js';

/** Every option of a task. All are optional; a call may override those that `ApplyOptions` has too. */
export interface TaskOptions {
  /** Wire name. Default: `ClassName.methodName`. Pin it before you rename a class or method. */
  readonly name?: string;
  /** Queue that calls go to unless they say otherwise. Default: the client's default queue, `default`. */
  readonly queue?: string;
  /** 0 to 9, higher is more urgent. Default 0. */
  readonly priority?: number;
  /**
   * Checks the first argument at the call and again before the run: any Standard Schema (zod, valibot, arktype, …) or,
   * under Nest, a class-validator DTO class. An array gives one schema per argument. Arguments that do not fit are a
   * TASK_ARGUMENTS_INVALID error at the call, and a rejection without retry at the run.
   */
  readonly schema?: TaskSchema | readonly TaskSchema[];
  /** Names of the parameters, so that keyword arguments of Python callers and stored schedules find their places. */
  readonly params?: readonly string[];
  readonly retry?: RetryOptionsInit;
  /** A message that was not started this long after the call ends REVOKED ("expired"). Default: never. */
  readonly expires?: Duration;
  /** After this the task's signal aborts with SOFT_TIME_LIMIT_EXCEEDED; the handler may clean up. Default: none. */
  readonly softTimeLimit?: Duration;
  /**
   * After this the run is over: recorded as TIME_LIMIT_EXCEEDED, the signal aborted. A pool that can kill kills; the
   * in-process pool writes the slot off and replaces it. Must not be below `softTimeLimit`. Default: none.
   */
  readonly timeLimit?: Duration;
  /**
   * How often it starts: `'100/m'`, `'5/s'`, `'1000/h'`, or a number per second; starts are evenly spaced. Each worker keeps
   * it for itself; with `{ limit: '100/m', scope: 'cluster' }` all workers together, where a driver has locks. What has to
   * wait holds up nothing else. Default: none.
   */
  readonly rateLimit?: RateLimitInit;
  /**
   * When the message is settled. `late` (default): after the run, so a task cut down by a crash runs again. `early`:
   * before the run, so it runs at most once.
   */
  readonly ack?: 'late' | 'early';
  /** Keep no result and no state. Default false. */
  readonly ignoreResult?: boolean;
  /** Keep failures although results are ignored. Default false. */
  readonly storeErrorsEvenIfIgnored?: boolean;
  /** Record STARTED when a run begins. Costs a write a run. Default: the worker's setting, false. */
  readonly trackStarted?: boolean;
  /** Expected errors: the task still fails, but it is logged at debug level and without a stack. */
  readonly throws?: readonly ErrorMatcher[];
  /** Pass the {@link TaskContext} as the last argument. Under Nest, `@Task()` on a parameter is the usual way. */
  readonly bind?: boolean;
  /** How long the result is kept. Default: the client's setting, 1 day. `0` = for ever. */
  readonly resultExpires?: Duration;
}

/** A Standard Schema, or a class whose instances a registered adapter can validate. */
/** What checks an argument: a Standard Schema, or a DTO class. */
// oxlint-disable-next-line typescript/no-explicit-any -- any input and output type fits here
export type TaskSchema = StandardSchemaV1<any, any> | (new () => object);

/** Highest priority; the lowest is 0. */
export const MAX_PRIORITY = 9;
