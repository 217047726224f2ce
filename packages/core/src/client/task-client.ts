import { Signature } from '../canvas/signature.js';
import { UsageError } from '../errors/errors.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { NO_OPTIONS } from './apply-options.js';
import type { ApplyOptions } from './task-call.js';
import type { TaskHandle } from './task-handle.js';
import type { TaskCaller, TaskMethods } from './task-methods.js';
import type { TaskSenderOptions } from './task-sender.js';
import { TaskSender } from './task-sender.js';

/** A class with task methods, also an abstract one. */
export type TaskClass<T> = abstract new (...args: never[]) => T;

/** What is known of a class's tasks: method name → definition. Undefined for a class without any. */
export type TaskClassReader = (taskClass: TaskClass<unknown>) => ReadonlyMap<string, TaskDefinition> | undefined;

/** What a client sends with, and how it reads classes. */
export interface TaskClientOptions extends TaskSenderOptions {
  readonly readClass: TaskClassReader;
}

/**
 * The front door: `client.for(MailTasks).sendWelcome.delay(42)`. Arguments, arity and result follow the method; a
 * trailing {@link TaskContext} parameter does not show.
 */
export class TaskClient extends TaskSender {
  private readonly byClass = new Map<unknown, unknown>();

  constructor(private readonly clientOptions: TaskClientOptions) {
    super(clientOptions);
  }

  /**
   * The tasks of a class. Given the class, its decorators tell names and defaults. Given a prefix and a type-only
   * import (`client.for<MailTasks>('MailTasks')`), names are `prefix.method` and the producer need not load the class.
   */
  for<T>(source: TaskClass<T> | string): TaskMethods<T> {
    let methods = this.byClass.get(source);
    if (methods === undefined) {
      methods = typeof source === 'string' ? this.methodsByPrefix(source) : this.methodsOf(source);
      this.byClass.set(source, methods);
    }
    return methods as TaskMethods<T>;
  }

  private methodsOf(taskClass: TaskClass<unknown>): object {
    const definitions = this.clientOptions.readClass(taskClass);
    if (definitions === undefined || definitions.size === 0) {
      throw new UsageError({
        code: 'TASK_UNKNOWN',
        message: `${taskClass.name} has no tasks.`,
        remedy: 'Mark its methods with @SharedTask().',
        fields: { field: 'class', value: taskClass.name },
      });
    }
    const known = `Tasks of ${taskClass.name} are: ${[...definitions.keys()].join(', ')}.`;
    return callers((method) => {
      const definition = definitions.get(method);
      if (definition === undefined) throw notATask(`${taskClass.name}.${method}`, known);
      return this.caller(definition.name, definition);
    });
  }

  private methodsByPrefix(prefix: string): object {
    return callers((method) => {
      const name = `${prefix}.${method}`;
      return this.caller(name, this.options.registry.find(name)?.definition);
    });
  }

  private caller(name: string, definition: TaskDefinition | undefined): TaskCaller<readonly unknown[], unknown> {
    return {
      taskName: name,
      delay: (...args: readonly unknown[]): Promise<TaskHandle> => this.send(name, definition, args, NO_OPTIONS),
      applyAsync: (args: readonly unknown[], options: ApplyOptions = NO_OPTIONS) =>
        this.send(name, definition, args, options),
      bulk: (calls: readonly (readonly unknown[])[], options: ApplyOptions = NO_OPTIONS) =>
        this.sendAll(name, definition, calls, options),
      s: (...args: readonly unknown[]) => new Signature(name, args),
      si: (...args: readonly unknown[]) => new Signature(name, args, {}, {}, true),
      call: (...args: readonly unknown[]) =>
        this.callHere(name, definition ?? this.options.registry.get(name).definition, args),
    };
  }
}

/** An object whose members are made when they are first touched. `then` is not one, so that it can be awaited by mistake. */
function callers(make: (method: string) => TaskCaller<readonly unknown[], unknown>): object {
  const made = new Map<string, TaskCaller<readonly unknown[], unknown>>();
  return new Proxy(Object.create(null) as object, {
    get(_target, property) {
      if (typeof property !== 'string' || property === 'then') return undefined;
      let caller = made.get(property);
      if (caller === undefined) {
        caller = make(property);
        made.set(property, caller);
      }
      return caller;
    },
  });
}

function notATask(method: string, known: string): UsageError {
  return new UsageError({
    code: 'TASK_UNKNOWN',
    message: `${method} is not a task.`,
    remedy: `Mark it with @SharedTask(). ${known}`,
    fields: { field: 'method', value: method },
  });
}
