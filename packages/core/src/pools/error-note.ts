import type { ErrorCode } from '../errors/error-codes.js';
import type { FailureRecord, TaskQueueErrorInit } from '../errors/errors.js';
import {
  BrokerError,
  isTaskQueueError,
  MessageError,
  ResultError,
  TaskError,
  TaskQueueError,
  UsageError,
} from '../errors/errors.js';
import { errorFromFailure, failureFrom } from '../message/failure.js';

/** An error on its way between a worker and a child. One of ours is one of ours again on the other side. */
export interface ErrorNote {
  readonly failure: FailureRecord;
  readonly ours?: {
    readonly name: string;
    readonly code: ErrorCode;
    readonly remedy?: string;
    readonly retryable: boolean;
    readonly taskId?: string;
  };
}

export function errorNote(error: unknown): ErrorNote {
  const failure = failureFrom(error);
  if (!isTaskQueueError(error)) return { failure };
  const { name, code, remedy, retryable } = error;
  const taskId = (error as Partial<TaskError>).taskId;
  return {
    failure,
    ours: {
      name,
      code,
      retryable,
      ...(remedy === undefined ? {} : { remedy }),
      ...(taskId === undefined ? {} : { taskId }),
    },
  };
}

export function errorFromNote({ failure, ours }: ErrorNote): Error {
  if (ours === undefined) return errorFromFailure(failure);
  const { name, code, remedy, retryable, taskId } = ours;
  // An error's own message ends with its remedy.
  const suffix = remedy === undefined ? '' : ` ${remedy}`;
  const message = failure.message.endsWith(suffix)
    ? failure.message.slice(0, failure.message.length - suffix.length)
    : failure.message;
  const init: TaskQueueErrorInit = { code, message, retryable, ...(remedy === undefined ? {} : { remedy }) };
  if (taskId !== undefined) return new TaskError(init, taskId, undefined);
  return new (CLASSES.get(name) ?? TaskQueueError)(init);
}

const CLASSES: ReadonlyMap<string, new (init: TaskQueueErrorInit) => TaskQueueError> = new Map(
  [UsageError, BrokerError, MessageError, ResultError].map((one) => [one.name, one]),
);
