import type { SchemaAdapter, TaskClass, TaskDefinition } from '@taskqueue/core';
import { defineTask } from '@taskqueue/core';
import { taskMethodsOf } from './task-metadata.accessor.js';

/** Reads a class's tasks once; a definition is the same object wherever it is asked for. */
export class TaskClassReader {
  private readonly byClass = new WeakMap<object, ReadonlyMap<string, TaskDefinition>>();

  constructor(private readonly adapter: SchemaAdapter) {}

  /** Method name → definition. Throws a ConfigurationError with every problem of the options. */
  read(taskClass: TaskClass<unknown>): ReadonlyMap<string, TaskDefinition> {
    let definitions = this.byClass.get(taskClass);
    if (definitions === undefined) {
      definitions = new Map(
        taskMethodsOf(taskClass as { prototype: unknown; name: string }).map(({ method, name, options }) => {
          const { name: _name, ...rest } = options;
          return [method, defineTask(name, rest, this.adapter)];
        }),
      );
      this.byClass.set(taskClass, definitions);
    }
    return definitions;
  }
}
