import { Injectable } from '@nestjs/common';
import type { TaskDefinition } from '@taskqueue/core';
import { bindArguments, checkQueueName } from '@taskqueue/core';
import { isTaskQueueError, TaskQueueRuntime } from '@taskqueue/nestjs';
import type { FieldError } from '../../http/field-error.js';

export interface CallFields {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, unknown>> | null;
}

/** Checks a call before it is stored, with what the worker will check it with: registry and schemas. */
@Injectable()
export class CallCheck {
  constructor(private readonly queue: TaskQueueRuntime) {}

  async errors({ task, args, kwargs, headers }: CallFields): Promise<FieldError[]> {
    const { registry } = this.queue;
    try {
      const { definition } = registry.get(task);
      const errors = await argumentErrors(definition, args, kwargs);
      return errors.length > 0
        ? errors
        : await this.sendErrors({ task, args, kwargs, ...(headers === undefined ? {} : { headers }) });
    } catch (error) {
      if (!isTaskQueueError(error, 'TASK_UNKNOWN')) throw error;
      return [{ field: 'task', message: error.message }];
    }
  }

  /** What only sending would find: values that cannot travel, headers that are not the caller's. */
  private async sendErrors({ task, args, kwargs, headers }: CallFields): Promise<FieldError[]> {
    try {
      await this.queue.client.check(task, args, { kwargs, headers: headers ?? {} });
      return [];
    } catch (error) {
      if (!isTaskQueueError(error)) throw error;
      const { path, field } = error.fields as { path?: string; field?: string };
      return [{ field: path ?? field ?? 'args', message: error.message }];
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

async function argumentErrors(
  definition: TaskDefinition,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
): Promise<FieldError[]> {
  try {
    await bindArguments(definition, { args, kwargs });
    return [];
  } catch (error) {
    if (!isTaskQueueError(error, 'TASK_ARGUMENTS_INVALID')) throw error;
    const { issues, field } = error.fields as { issues?: readonly { path: string; message: string }[]; field: string };
    if (issues === undefined) return [{ field: `kwargs.${field}`, message: error.message }];
    return issues.map(({ path, message }) => ({ field: requestField(path, definition, kwargs), message }));
  }
}

/** `feedback.email`, as the task calls it, → `args[0].email` or `kwargs.feedback.email`, as the request has it. */
function requestField(path: string, definition: TaskDefinition, kwargs: Readonly<Record<string, unknown>>): string {
  const [name = '', ...rest] = path.split('.');
  const index = definition.params.indexOf(name);
  const start = Object.hasOwn(kwargs, name) ? `kwargs.${name}` : index < 0 ? name : `args[${index}]`;
  return [start, ...rest].join('.');
}
