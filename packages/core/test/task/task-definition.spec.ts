import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigurationError } from '../../src/errors/errors.js';
import { bindArguments } from '../../src/task/bind-arguments.js';
import { defineTask } from '../../src/task/task-definition.js';
import { TaskRegistry } from '../../src/task/task-registry.js';

describe('defining a task', () => {
  it('fills in the defaults', () => {
    expect(defineTask('mail.send')).toMatchObject({
      name: 'mail.send',
      queue: undefined,
      priority: 0,
      ack: 'late',
      ignoreResult: false,
      timeLimitMs: undefined,
      retry: { max: 3, for: [] },
    });
  });

  it('reports every problem at once, each with path, expectation and value', () => {
    const bad = {
      queue: 'no spaces here',
      priority: 10,
      timeLimit: 'x',
      softTimeLimit: '-1s',
      expires: {},
      ack: 'never',
      retry: { max: -1 },
      schema: 'text',
      retires: 3,
    };
    let problems: readonly { path: string }[] = [];
    try {
      defineTask('bad name', bad as never);
    } catch (error) {
      problems = (error as ConfigurationError).problems;
    }
    expect(problems.map((one) => one.path).sort()).toEqual(
      ['ack', 'expires', 'name', 'priority', 'queue', 'retires', 'retry.max', 'schema', 'softTimeLimit', 'timeLimit']
        .map((field) => `task bad name.${field}`)
        .sort(),
    );
  });

  it('refuses a soft limit above the hard one', () => {
    expect(() => defineTask('t', { softTimeLimit: '2s', timeLimit: '1s' })).toThrow(
      /softTimeLimit: expected not more than timeLimit/,
    );
  });
});

describe('binding arguments', () => {
  const task = defineTask('t', { params: ['a', 'b', 'c'] }, { maxArguments: 3 });

  it('puts keyword arguments in their places', () => {
    expect(bindArguments(task, { args: [1], kwargs: { c: 3, b: 2 } })).toEqual([1, 2, 3]);
    expect(bindArguments(task, { args: [], kwargs: { c: 3 } })).toEqual([undefined, undefined, 3]);
  });

  it('takes any number where it is not known how many there are', () => {
    expect(bindArguments(defineTask('t'), { args: [1, 2, 3, 4], kwargs: {} })).toEqual([1, 2, 3, 4]);
  });

  it.each([
    [[1], { a: 2 }, 'kwargs.a'],
    [[], { nobody: 1 }, 'kwargs.nobody'],
    [[], JSON.parse('{"__proto__": 1}') as object, 'kwargs.__proto__'],
    [[1, 2, 3, 4], {}, 'args'],
  ])('refuses %j with %j and names %s', (args, kwargs, field) => {
    expect(() => bindArguments(task, { args, kwargs: kwargs as Record<string, unknown> })).toThrow(
      expect.objectContaining({ code: 'TASK_ARGUMENTS_INVALID', fields: expect.objectContaining({ field }) }),
    );
  });

  it('checks each argument by its schema, transforms it, and names the path of what is wrong', async () => {
    const checked = defineTask('t', {
      params: ['user', 'when'],
      schema: [
        z.object({ email: z.email() }),
        z.coerce.number().refine(async (value) => Promise.resolve(value > 0), 'must be positive'),
      ],
    });
    expect(await bindArguments(checked, { args: [{ email: 'a@b.example' }, '5'], kwargs: {} })).toEqual([
      { email: 'a@b.example' },
      5,
    ]);
    await expect(async () => bindArguments(checked, { args: [{ email: 'x' }, 1], kwargs: {} })).rejects.toMatchObject({
      code: 'TASK_ARGUMENTS_INVALID',
      fields: { field: 'user.email', task: 't' },
    });
    await expect(async () =>
      bindArguments(checked, { args: [{ email: 'a@b.example' }, -1], kwargs: {} }),
    ).rejects.toThrow(/when: must be positive/);
  });
});

describe('the registry', () => {
  const register = (registry: TaskRegistry, name: string, source: string): void =>
    registry.register({ definition: defineTask(name), handler: () => undefined, source });

  it('refuses a name twice and tells both places', () => {
    const registry = new TaskRegistry();
    register(registry, 'a', 'First.a');
    expect(() => register(registry, 'a', 'Second.a')).toThrow(/First\.a and Second\.a/);
  });

  it('knows nothing that was not registered', () => {
    const registry = new TaskRegistry();
    register(registry, 'b', 'B.b');
    for (const name of ['constructor', '__proto__', 'toString', 'B']) expect(registry.find(name)).toBeUndefined();
    expect(() => registry.get('nope')).toThrow(/Registered are: b\./);
  });
});

describe('options of a task that cannot be', () => {
  it.each([
    ['retry', { retry: 3 }],
    ['retry', { retry: false }],
    ['retry.bogus', { retry: { bogus: 1 } }],
    ['retry.for', { retry: { for: Error } }],
    ['retry.for', { retry: { for: 'E' } }],
    ['retry.jitter', { retry: { jitter: 'yes' } }],
    ['throws', { throws: Error }],
    ['throws', { throws: 'E' }],
    ['ignoreResult', { ignoreResult: 'yes' }],
    ['trackStarted', { trackStarted: 'x' }],
    ['timeLimit', { timeLimit: 0 }],
    ['timeLimit', { timeLimit: 1e20 }],
  ])('%s is refused by name', (field, options) => {
    expect(() => defineTask('odd', options as never)).toThrow(`task odd.${field}`);
  });
});
