import type { FailureRecord } from '../errors/errors.js';
import { failureFrom } from '../message/failure.js';
import type { TaskDefinition } from './task-definition.js';
import { matches, retriesError } from './retry-policy.js';

/**
 * What the rest of a worker has to know of a thrown error. It is found out where the error was thrown: the classes and
 * tests of a task's policy know their own kind only, and an error that came from another process is not one.
 */
export interface Judgement {
  readonly failure: FailureRecord;
  /** The task's policy retries it without being asked. */
  readonly retried: boolean;
  /** The task said that it throws it. */
  readonly expected: boolean;
}

/** Each part is found out when it is asked for. A test of the policy that throws, throws then. */
export function judge({ retry, throws }: TaskDefinition, error: unknown): Judgement {
  return {
    get failure() {
      return failureFrom(error);
    },
    get retried() {
      return retriesError(retry, error);
    },
    get expected() {
      return throws.some((matcher) => matches(matcher, error));
    },
  };
}

/** Of an error that no policy is asked about. */
export function plainFailure(error: unknown): Judgement {
  return { failure: failureFrom(error), retried: false, expected: false };
}
