import type { ConfigurationProblem, TaskDefinition } from '@taskqueue/core';
import { methodParameters } from '../discovery/method-parameters.js';
import type { ProviderClass } from './nest-internals.js';
import { CUSTOM_ARGUMENT, ROUTE_ARGUMENTS } from './nest-internals.js';

/** Where the values of a task method's parameters come from. */
export interface TaskParameters {
  /** Nest's metadata of the parameters with a decorator. */
  readonly decorated: Readonly<Record<string, DecoratedParameter>>;
  /** Indices of the others, which take the task's arguments in order. */
  readonly positional: readonly number[];
  /** The last one is a rest parameter. */
  readonly rest: boolean;
  /** It is a generator, of which nothing would run. */
  readonly generator: boolean;
  /** It overrides a method whose parameters have decorators, and has none itself: Nest would apply the other's. */
  readonly inherited: boolean;
}

interface DecoratedParameter {
  readonly index: number;
}

export function taskParameters(taskClass: ProviderClass, method: string): TaskParameters {
  const prototype = taskClass.prototype as Record<string, (...args: never[]) => unknown>;
  const { count: written, rest } = methodParameters(prototype[method] as (...args: never[]) => unknown);
  const types = (Reflect.getMetadata('design:paramtypes', prototype, method) ?? []) as readonly unknown[];
  const decorated = (Reflect.getMetadata(ROUTE_ARGUMENTS, taskClass, method) ?? {}) as Record<
    string,
    DecoratedParameter
  >;
  const taken = new Set(Object.values(decorated).map((one) => one.index));
  const count = Math.max(types.length, written);
  const positional = [...Array(count).keys()].filter((index) => !taken.has(index));
  const inherited =
    Object.hasOwn(prototype, method) &&
    count > 0 &&
    taken.size > 0 &&
    !Reflect.hasOwnMetadata(ROUTE_ARGUMENTS, taskClass, method);
  return { decorated, positional, rest, generator: isGenerator(prototype[method]), inherited };
}

function isGenerator(method: unknown): boolean {
  return Object.prototype.toString.call(method).endsWith('GeneratorFunction]');
}

/** What is wrong with the parameters of a task method, and with options that speak of them. */
export function parameterProblems(
  parameters: TaskParameters,
  definition: TaskDefinition,
  source: string,
): ConfigurationProblem[] {
  const { decorated, positional, rest, generator, inherited } = parameters;
  const problems: ConfigurationProblem[] = [];
  if (generator) {
    const remedy = 'A generator runs only when somebody takes its values; return them, or report them by progress().';
    problems.push({ path: source, expected: 'a method that is no generator', value: 'function*', remedy });
  }
  if (inherited) {
    const remedy =
      'The decorators of the method that it overrides would be applied to its parameters; write them again.';
    problems.push({ path: source, expected: 'parameter decorators of its own', value: 'none', remedy });
  }
  if (rest) {
    // Nest's pipeline passes a fixed number of arguments: a rest parameter would get the first value only.
    problems.push({ path: source, expected: 'no rest parameter', value: '...', remedy: 'Take an array instead.' });
  }
  for (const [key, { index }] of Object.entries(decorated)) {
    if (key.includes(CUSTOM_ARGUMENT)) continue;
    problems.push({
      path: `${source} parameter ${index}`,
      expected: 'no decorator, @Task(), @TaskHeader() or one made by createParamDecorator',
      value: 'a decorator for HTTP requests',
      remedy: 'A task has no request: its arguments come in order, without decorators.',
    });
  }
  for (const field of ['params', 'schemas'] as const) {
    const { length } = definition[field];
    if (length <= positional.length) continue;
    problems.push({
      path: `${source} ${field === 'schemas' ? 'schema' : field}`,
      expected: `at most ${positional.length}, one for each argument of the method`,
      value: length,
    });
  }
  return problems;
}
