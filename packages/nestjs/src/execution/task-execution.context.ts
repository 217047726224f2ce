import type { ArgumentsHost } from '@nestjs/common';
import { UsageError } from '@taskqueue/core';
import type { TaskContext } from '@taskqueue/core';
import { TASK_CONTEXT_TYPE } from '../task-queue.constants.js';

/**
 * What guards, interceptors, filters and param decorators find in `host.getArgs()` when `host.getType() === 'task'`:
 * the arguments of the task, and its context. So `host.switchToRpc().getData()` and `.getContext()` work as well.
 */
export type TaskHostArguments = readonly [args: readonly unknown[], context: TaskContext];

/** True inside a task run. For guards and interceptors that are shared with HTTP. */
export function isTaskHost(host: ArgumentsHost): boolean {
  return host.getType<string>() === TASK_CONTEXT_TYPE;
}

/** The context of the task run. Throws outside of one. */
export function taskContextOf(host: ArgumentsHost): TaskContext {
  return hostArguments(host)[1];
}

/** The arguments of the task run, after validation. Throws outside of one. */
export function taskArgumentsOf(host: ArgumentsHost): readonly unknown[] {
  return hostArguments(host)[0];
}

function hostArguments(host: ArgumentsHost): TaskHostArguments {
  if (isTaskHost(host)) return host.getArgs<[readonly unknown[], TaskContext]>();
  throw new UsageError({
    code: 'STATE_INVALID',
    message: `This runs in the context "${host.getType<string>()}", not in a task.`,
    remedy: 'Ask isTaskHost(host) first.',
  });
}
