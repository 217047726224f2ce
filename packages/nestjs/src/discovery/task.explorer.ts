import { Injectable } from '@nestjs/common';
import { DiscoveryService, ExternalContextCreator } from '@nestjs/core';
import type { ConfigurationProblem, ScheduleEntry, TaskRegistry } from '@taskqueue/core';
import { ConfigurationError, declareEntry } from '@taskqueue/core';
import type { InstanceWrapper, NestContainer, ProviderClass } from '../execution/nest-internals.js';
import { classOf, missingEnhancers } from '../execution/nest-internals.js';
import type { Enhancers } from '../execution/task-pipeline.js';
import { TaskPipeline } from '../execution/task-pipeline.js';
import { parameterProblems, taskParameters } from '../execution/task-parameters.js';
import type { TaskClassReader } from './class-reader.js';
import type { TaskMethod } from './task-metadata.accessor.js';
import { methodsScheduledOnly, taskMethodsOf } from './task-metadata.accessor.js';

/** What the decorators of an application say. */
export interface Explored {
  /** Schedules that decorators declare. */
  readonly schedules: readonly ScheduleEntry[];
}

/** What a search works with. */
interface Search {
  readonly registry: TaskRegistry;
  readonly reader: TaskClassReader;
  readonly enhancers: Enhancers;
}

/** Finds task methods in the providers of all modules and fills the registry. */
@Injectable()
export class TaskExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly contextCreator: ExternalContextCreator,
  ) {}

  /** Throws TASK_DUPLICATE, or a ConfigurationError with the problems of every class at once. */
  explore(search: Search): Explored {
    const { container } = this.contextCreator as unknown as { container: NestContainer };
    const pipeline = new TaskPipeline(container, search.enhancers);
    const problems = this.controllersWithTasks();
    const schedules: ScheduleEntry[] = [];
    for (const provider of this.taskProviders()) {
      try {
        schedules.push(...register(provider, search, pipeline));
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        problems.push(...error.problems);
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    return { schedules };
  }

  /** Each provider with task methods once, although several modules or tokens may give the same object. */
  private taskProviders(): TaskProvider[] {
    const seen = new Set<unknown>();
    return this.discovery.getProviders().flatMap((wrapper) => {
      const taskClass = wrapper.isAlias ? undefined : classOf(wrapper);
      if (taskClass === undefined || !hasTasks(taskClass)) return [];
      const key: unknown = wrapper.instance ?? wrapper;
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ wrapper, taskClass }];
    });
  }

  /** Silence would be worse: the client can send such a task, and no worker would know it. */
  private controllersWithTasks(): ConfigurationProblem[] {
    return this.discovery.getControllers().flatMap((wrapper) => {
      const taskClass = classOf(wrapper);
      return (taskClass === undefined ? [] : taskMethodsOf(taskClass)).map((task) => ({
        path: `${taskClass?.name}.${task.method}`,
        expected: 'a task to be a method of a provider, not of a controller',
        value: task.name,
        remedy: 'Move the method to a provider.',
      }));
    });
  }
}

interface TaskProvider {
  readonly wrapper: InstanceWrapper;
  readonly taskClass: ProviderClass;
}

function hasTasks(taskClass: ProviderClass): boolean {
  return taskMethodsOf(taskClass).length > 0 || methodsScheduledOnly(taskClass).length > 0;
}

function register({ wrapper, taskClass }: TaskProvider, search: Search, pipeline: TaskPipeline): ScheduleEntry[] {
  const { registry, reader, enhancers } = search;
  const definitions = reader.read(taskClass as never);
  const problems = scheduleProblems(taskClass);
  const entries = taskMethodsOf(taskClass).flatMap((task) => {
    const definition = definitions.get(task.method);
    if (definition === undefined) return [];
    const { method } = task;
    const source = `${taskClass.name}.${method}`;
    const parameters = taskParameters(taskClass, method);
    problems.push(...parameterProblems(parameters, definition, source));
    if (enhancers !== 'none') problems.push(...enhancerProblems(wrapper, taskClass, method, source));
    const handler = pipeline.handler({ wrapper, taskClass, method, parameters });
    registry.register({ definition, source: `${source} (${wrapper.host?.name ?? 'no module'})`, handler });
    return entriesOf(task);
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return entries;
}

function scheduleProblems(taskClass: ProviderClass): ConfigurationProblem[] {
  return methodsScheduledOnly(taskClass).map((method) => ({
    path: `${taskClass.name}.${method}`,
    expected: 'a scheduled method to be a task',
    value: method,
    remedy: 'Add @SharedTask().',
  }));
}

function enhancerProblems(
  wrapper: InstanceWrapper,
  taskClass: ProviderClass,
  method: string,
  source: string,
): ConfigurationProblem[] {
  const fn = (taskClass.prototype as Record<string, object>)[method] as object;
  return missingEnhancers(wrapper, taskClass, fn).map((enhancer) => ({
    path: source,
    expected: 'a class in `providers`, so that Nest makes its guards, pipes, interceptors and filters',
    value: enhancer,
    remedy: 'Provide the class itself instead of a factory or value, or give the enhancer as an object.',
  }));
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
