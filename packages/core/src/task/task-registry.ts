import { UsageError } from '../errors/errors.js';
import { didYouMean } from '../errors/nearest-word.js';
import type { TaskContext } from './task-context.js';
import type { TaskDefinition } from './task-definition.js';

/** Runs the body of a task. Arguments are decoded, checked and in their places. */
export type TaskHandler = (invocation: TaskInvocation) => unknown;

/** What a handler is given. */
export interface TaskInvocation {
  readonly args: readonly unknown[];
  readonly context: TaskContext;
}

/** A task and what runs it. */
export interface RegisteredTask {
  readonly definition: TaskDefinition;
  readonly handler: TaskHandler;
  /** Where it was found, for error messages, e.g. `MailTasks.sendWelcome`. */
  readonly source: string;
}

/** Task name → definition and handler. A Map, so that no name from a message can reach a prototype. */
export class TaskRegistry {
  private readonly tasks = new Map<string, RegisteredTask>();

  /** Throws TASK_DUPLICATE when the name is taken. */
  register(task: RegisteredTask): void {
    const { name } = task.definition;
    const existing = this.tasks.get(name);
    if (existing !== undefined) {
      throw new UsageError({
        code: 'TASK_DUPLICATE',
        message: `Two tasks are named "${name}": ${existing.source} and ${task.source}.`,
        remedy: 'Give one of them another `name`.',
        fields: { field: 'name', value: name, sources: [existing.source, task.source] },
      });
    }
    this.tasks.set(name, task);
  }

  find(name: string): RegisteredTask | undefined {
    return this.tasks.get(name);
  }

  /** Throws TASK_UNKNOWN with the nearest name, and all that there are. */
  get(name: string): RegisteredTask {
    const task = this.tasks.get(name);
    if (task !== undefined) return task;
    throw new UsageError({
      code: 'TASK_UNKNOWN',
      message: `No task is named "${name}".`,
      remedy: this.whatThereIs(name),
      fields: { field: 'task', value: name },
    });
  }

  private whatThereIs(name: string): string {
    const names = this.names();
    if (names.length === 0) return 'No task is registered here.';
    const all = `Registered are: ${names.join(', ')}.`;
    const meant = didYouMean(name, names);
    return meant === undefined ? all : `${meant} ${all}`;
  }

  names(): string[] {
    return [...this.tasks.keys()].sort();
  }

  all(): RegisteredTask[] {
    return this.names().map((name) => this.get(name));
  }
}

/** A handler around a plain function: the arguments in order, and the context last where `bind` asks for it. */
export function plainHandler(definition: TaskDefinition, fn: (...args: never[]) => unknown): TaskHandler {
  const call = fn as (...args: unknown[]) => unknown;
  return definition.bind ? ({ args, context }) => call(...args, context) : ({ args }) => call(...args);
}
