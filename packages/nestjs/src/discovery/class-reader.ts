import type { ConfigurationProblem, SchemaAdapter, TaskClass, TaskDefinition } from '@taskqueue/core';
import { ConfigurationError, defineTask } from '@taskqueue/core';
import type { ProviderClass } from '../execution/nest-internals.js';
import { taskParameters } from '../execution/task-parameters.js';
import { taskMethodsOf } from './task-metadata.accessor.js';

/** Reads a class's tasks once; a definition is the same object wherever it is asked for. */
export class TaskClassReader {
  private readonly byClass = new WeakMap<object, ReadonlyMap<string, TaskDefinition>>();

  constructor(private readonly adapter: SchemaAdapter) {}

  /** Method name → definition. Throws a ConfigurationError with every problem of the options of every method. */
  read(taskClass: TaskClass<unknown>): ReadonlyMap<string, TaskDefinition> {
    let definitions = this.byClass.get(taskClass);
    if (definitions === undefined) {
      definitions = this.define(taskClass);
      this.byClass.set(taskClass, definitions);
    }
    return definitions;
  }

  private define(taskClass: TaskClass<unknown>): ReadonlyMap<string, TaskDefinition> {
    const problems: ConfigurationProblem[] = [];
    const definitions = new Map<string, TaskDefinition>();
    for (const task of taskMethodsOf(taskClass as { prototype: unknown; name: string })) {
      const { method, name } = task;
      const { name: _name, ...options } = task.options;
      try {
        const { positional, rest: takesAll } = taskParameters(taskClass as unknown as ProviderClass, method);
        const maxArguments = takesAll ? undefined : positional.length;
        definitions.set(method, defineTask(name, options, { adapter: this.adapter, maxArguments }));
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        problems.push(...error.problems);
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    return definitions;
  }
}
