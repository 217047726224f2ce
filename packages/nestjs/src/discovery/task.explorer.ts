import { Injectable } from '@nestjs/common';
import { DiscoveryService, ExternalContextCreator, ModuleRef } from '@nestjs/core';
import type { ConfigurationProblem, ScheduleEntry, TaskRegistry } from '@taskqueue/core';
import { ConfigurationError, declareEntry } from '@taskqueue/core';
import type { InstanceWrapper, NestContainer } from '../execution/nest-internals.js';
import type { Enhancers } from '../execution/task-pipeline.js';
import { classOf, TaskPipeline } from '../execution/task-pipeline.js';
import type { TaskClassReader } from './class-reader.js';
import type { TaskMethod } from './task-metadata.accessor.js';
import { taskMethodsOf } from './task-metadata.accessor.js';

export interface Explored {
  /** Schedules that decorators declare. */
  readonly schedules: readonly ScheduleEntry[];
}

/** Finds task methods in the providers of all modules and fills the registry. */
@Injectable()
export class TaskExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly moduleRef: ModuleRef,
    private readonly contextCreator: ExternalContextCreator,
  ) {}

  /** Throws TASK_DUPLICATE, or a ConfigurationError with the problems of every class at once. */
  explore(registry: TaskRegistry, reader: TaskClassReader, enhancers: Enhancers): Explored {
    const { container } = this.contextCreator as unknown as { container: NestContainer };
    const pipeline = new TaskPipeline(this.moduleRef, container, enhancers);
    const problems: ConfigurationProblem[] = [];
    const schedules: ScheduleEntry[] = [];
    for (const wrapper of this.taskProviders()) {
      try {
        schedules.push(...register(wrapper, registry, reader, pipeline));
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        problems.push(...error.problems);
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    return { schedules };
  }

  /** Each provider with task methods once, although several modules may see it. */
  private taskProviders(): InstanceWrapper[] {
    const seen = new Set<unknown>();
    return this.discovery.getProviders().filter((wrapper) => {
      if (wrapper.isAlias || wrapper.isNotMetatype === undefined) return false;
      const taskClass = classOf(wrapper);
      if (typeof taskClass !== 'function' || taskMethodsOf(taskClass).length === 0) return false;
      const key = wrapper.instance ?? taskClass;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }
}

function register(
  wrapper: InstanceWrapper,
  registry: TaskRegistry,
  reader: TaskClassReader,
  pipeline: TaskPipeline,
): ScheduleEntry[] {
  const taskClass = classOf(wrapper);
  const definitions = reader.read(taskClass as never);
  return taskMethodsOf(taskClass).flatMap((method) => {
    const definition = definitions.get(method.method);
    if (definition === undefined) return [];
    const source = `${taskClass.name}.${method.method}`;
    refuseRestParameters(taskClass, method.method, source);
    registry.register({ definition, source, handler: pipeline.handler(wrapper, method.method) });
    return entriesOf(method);
  });
}

function entriesOf(method: TaskMethod): ScheduleEntry[] {
  return method.schedules.map((declared, index) =>
    declareEntry({
      ...declared,
      name: declared.name ?? (method.schedules.length === 1 ? method.name : `${method.name}#${index + 1}`),
      task: method.name,
    }),
  );
}

/** Nest's pipeline passes a fixed number of arguments, so a rest parameter would lose all but its first value. */
function refuseRestParameters(taskClass: { readonly prototype: unknown }, method: string, source: string): void {
  const fn = (taskClass.prototype as Record<string, object>)[method] as object;
  if (!/^[^(]*\([^)]*\.\.\./.test(Function.prototype.toString.call(fn))) return;
  throw new ConfigurationError([
    { path: source, expected: 'no rest parameter', value: '...', remedy: 'Take an array instead.' },
  ]);
}
