import type { ExecutionContext } from '@nestjs/common';
import { createParamDecorator } from '@nestjs/common';
import type { TaskContext } from '@taskqueue/core';
import { taskContextOf } from '../execution/task-execution.context.js';

/**
 * The {@link TaskContext} of the run: `async send(userId: number, @Task() task: TaskContext)`. The parameter must be
 * the last one; it does not show in the caller's signature.
 */
export const Task = createParamDecorator((_data: unknown, host: ExecutionContext): TaskContext => taskContextOf(host));

/** A header of the task, or all of them: `@TaskHeader('tenant') tenant: string`. */
export const TaskHeader = createParamDecorator((name: string | undefined, host: ExecutionContext): unknown => {
  const { headers } = taskContextOf(host);
  return name === undefined ? headers : headers[name];
});
