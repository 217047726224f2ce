import { Injectable } from '@nestjs/common';
import type { TaskDefinition } from '@taskqueue/core';
import { checkQueueName } from '@taskqueue/core';
import { isTaskQueueError, TaskQueueRuntime } from '@taskqueue/nestjs';
import type { FieldError } from '../../http/field-error.js';

export interface CallFields {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, unknown>> | null;
}

/** Checks a call before it is stored, as sending it would: arguments, values that cannot travel, headers. */
@Injectable()
export class CallCheck {
  constructor(private readonly queue: TaskQueueRuntime) {}

  async errors({ task, args, kwargs, headers }: CallFields): Promise<FieldError[]> {
    const { registry, client } = this.queue;
    try {
      // Any name can be sent; only one that is known here can be checked, and so be stored.
      registry.get(task);
      await client.check(task, args, { kwargs, headers: headers ?? {} });
      return [];
    } catch (error) {
      if (!isTaskQueueError(error)) throw error;
      const { issues = [], path, field = 'args' } = error.fields as ErrorFields;
      const definition = registry.find(task)?.definition;
      if (definition === undefined || issues.length === 0) return [{ field: path ?? field, message: error.message }];
      return issues.map(({ path: at, message }) => ({ field: requestField(at, definition, kwargs), message }));
    }
  }
}

export function queueErrors(queue: string | null | undefined): FieldError[] {
  if (queue === null || queue === undefined) return [];
  try {
    checkQueueName(queue);
    return [];
  } catch (error) {
    if (!isTaskQueueError(error)) throw error;
    return [{ field: 'queue', message: error.message }];
  }
}

/** What refusals of a call say about it. */
interface ErrorFields {
  /** Of a schema. */
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
  /** Of a value that cannot travel. */
  readonly path?: string;
  readonly field?: string;
}

/** `feedback.email`, as the task calls it, → `args[0].email` or `kwargs.feedback.email`, as the request has it. */
function requestField(path: string, definition: TaskDefinition, kwargs: Readonly<Record<string, unknown>>): string {
  const [name = '', ...rest] = path.split('.');
  const index = definition.params.indexOf(name);
  const start = Object.hasOwn(kwargs, name) ? `kwargs.${name}` : index < 0 ? name : `args[${index}]`;
  return [start, ...rest].join('.');
}
