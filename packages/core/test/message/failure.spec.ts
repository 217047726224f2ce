import { describe, expect, it } from 'vitest';
import type { FailureRecord } from '../../src/errors/errors.js';
import { UsageError } from '../../src/errors/errors.js';
import { celeryException, failureFromCelery } from '../../src/message/celery-exception.js';
import { errorFromFailure, failureFrom } from '../../src/message/failure.js';
import { readFixture } from './wire-fixtures.js';

class SmtpError extends Error {
  readonly code = 'EAUTH';
}

const throwing = (): never => {
  throw new Error('trap');
};
const cyclic = new Error('a', { cause: new Error('b') });
(cyclic.cause as Error).cause = cyclic;

const thrown: [name: string, value: unknown, type: string, message: string | RegExp][] = [
  ['a string', 'boom', 'NonErrorThrown', 'boom'],
  ['undefined', undefined, 'NonErrorThrown', 'undefined'],
  ['null', null, 'NonErrorThrown', 'null'],
  ['a number', 42, 'NonErrorThrown', '42'],
  ['a bigint', 7n, 'NonErrorThrown', '7n'],
  ['a symbol', Symbol('s'), 'NonErrorThrown', 'Symbol(s)'],
  ['a function', throwing, 'NonErrorThrown', '<function throwing>'],
  ['an object', { a: [1, 'x'] }, 'NonErrorThrown', "{'a': [1, 'x']}"],
  ['a frozen error', Object.freeze(new TypeError('cold')), 'TypeError', 'cold'],
  ['throwing getters', hostileError(), 'Error', ''],
  [
    'a proxy that throws',
    new Proxy(new Error('x'), { get: throwing, getPrototypeOf: throwing, has: throwing, ownKeys: throwing }),
    'NonErrorThrown',
    '<unrepresentable>',
  ],
  ['a proxy whose properties throw', new Proxy(new Error('x'), { get: throwing }), 'Error', ''],
  ['a cyclic cause', cyclic, 'Error', 'a'],
  // oxlint-disable-next-line no-thenable -- it must not be awaited
  ['a thenable', { then: throwing, message: 1 }, 'NonErrorThrown', /then/],
  [
    'an AggregateError',
    new AggregateError([new TypeError('one'), 'two', ...Array.from({ length: 6 }, () => 3)], 'all'),
    'AggregateError',
    'all [TypeError: one; two; 3; 3; 3; and 3 more]',
  ],
  ['a subclass without a name', new SmtpError('auth'), 'SmtpError', 'auth'],
  ['an error-like object', { name: 'Odd', message: 'm', stack: 'Odd: m' }, 'Odd', 'm'],
  ['an odd message', Object.assign(new Error('x'), { message: { a: 1 } }), 'Error', ''],
  ['an object without prototype', Object.create(null), 'NonErrorThrown', '{}'],
];

describe('failureFrom', () => {
  // Values are looked up: vitest would read the properties of those in the table.
  it.each(thrown.map(([name], index) => [name, index] as const))('survives %s', (_name, index) => {
    const [, value, type, message] = thrown[index] as (typeof thrown)[number];
    const failure = failureFrom(value);
    expect(failure.type).toBe(type);
    if (typeof message === 'string') expect(failure.message).toBe(message);
    else expect(failure.message).toMatch(message);
    expect(failure.module).toBe('builtins');
    expect(JSON.parse(JSON.stringify(failure))).toEqual(failure);
  });

  it('bounds a message of 20 MB and keeps the frames of its stack', () => {
    const started = performance.now();
    const failure = failureFrom(new Error('x'.repeat(20_000_000)), { maxMessage: 100, maxStack: 1_000 });
    // Far from what work that grows with the square would take.
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(failure.message).toBe(`${'x'.repeat(97)}...`);
    expect(failure.stack?.length).toBeLessThanOrEqual(1_000);
    expect(failure.stack).toContain('failure.spec');
  });

  it('bounds what else is long', () => {
    expect(failureFrom('é'.repeat(1e6)).message.length).toBe(4_096);
    expect(failureFrom(Array.from({ length: 1e6 }, () => 'x')).message.length).toBeLessThanOrEqual(256);
    expect(
      failureFrom(Object.assign(new Error('x'), { name: 'N'.repeat(1e6), code: 'C'.repeat(1e6) })).type.length,
    ).toBe(128);
    expect(failureFrom(new Error('a\0b')).message).toBe('a\uFFFDb');
    expect(failureFrom(new Error('😀'.repeat(100)), { maxMessage: 20 }).message).toMatch(/^😀{8}.?\.\.\.$/u);
  });

  it('follows causes, five deep, and ends at a cycle', () => {
    let error = new Error('0');
    for (let depth = 1; depth <= 20; depth += 1) error = new Error(String(depth), { cause: error });
    const messages: string[] = [];
    for (let at: FailureRecord | undefined = failureFrom(error); at !== undefined; at = at.cause)
      messages.push(at.message);
    expect(messages).toEqual(['20', '19', '18', '17', '16', '15']);
    expect(failureFrom(cyclic).cause).toMatchObject({ message: 'b' });
    expect(failureFrom(cyclic).cause?.cause).toBeUndefined();
    expect(failureFrom(new Error('x', { cause: 'text' })).cause).toMatchObject({
      type: 'NonErrorThrown',
      message: 'text',
    });
  });

  it('keeps codes', () => {
    expect(failureFrom(new SmtpError('x')).code).toBe('EAUTH');
    expect(failureFrom(new UsageError({ code: 'TASK_UNKNOWN', message: 'm' }))).toMatchObject({
      type: 'UsageError',
      code: 'TASK_UNKNOWN',
    });
    expect(failureFrom(Object.assign(new Error('x'), { code: 500 })).code).toBe('500');
  });
});

describe('errorFromFailure', () => {
  it('is a plain Error with the remote facts', () => {
    const failure = failureFrom(new SmtpError('auth', { cause: new TypeError('inner') }));
    const error = errorFromFailure(failure);
    expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
    expect(error).toMatchObject({ name: 'SmtpError', message: 'auth', code: 'EAUTH', stack: failure.stack });
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'inner' });
    expect(failureFrom(error)).toEqual(failure);
  });

  it('never makes a class that was named', () => {
    for (const type of ['TypeError', 'Function', 'constructor', '__proto__', 'process']) {
      const error = errorFromFailure({ type, module: 'os', message: 'm' });
      expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
      expect(error.name).toBe(type);
      expect(error.stack).toBe(`${type}: m`);
    }
  });
});

describe("Celery's exceptions", () => {
  type Stored = {
    readonly result_keys: Record<string, { decoded: { result: unknown; traceback: string | null; status: string } }>;
  };
  const stored = (name: string) => {
    const { result_keys: keys } = readFixture(`redis/result_${name}.json`) as Stored;
    return Object.values(keys)
      .map(({ decoded }) => decoded)
      .find(({ status }) => !['SUCCESS', 'STARTED'].includes(status));
  };

  it.each([
    ['failure_builtin_exception', 'ValueError', 'builtins', 'boom é'],
    ['failure_custom_exception', 'InteropError', 'tasks', "(42, {'why': 'x'})"],
    ['failure_type_error_bad_args', 'TypeError', 'builtins', "add() missing 1 required positional argument: 'y'"],
    ['failure_unregistered', 'NotRegistered', 'celery.exceptions', 'interop.nobody'],
    ['retry', 'RuntimeError', 'builtins', 'attempt 0'],
    ['revoked_waiting', 'TaskRevokedError', 'celery.exceptions', 'revoked'],
    ['expired', 'TaskRevokedError', 'celery.exceptions', 'expired'],
    ['time_limit_exceeded', 'TimeLimitExceeded', 'billiard.exceptions', '1'],
    ['soft_time_limit_exceeded', 'SoftTimeLimitExceeded', 'billiard.exceptions', ''],
  ])('%s is read', (name, type, module, message) => {
    const meta = stored(name);
    const failure = failureFromCelery(meta?.result, meta?.traceback);
    expect(failure).toMatchObject({ type, module, message });
    expect(failure.stack).toBe(meta?.traceback ?? undefined);
  });

  it('are written so that a stored one with a text is the same', () => {
    const meta = stored('failure_builtin_exception');
    expect(celeryException(failureFromCelery(meta?.result, meta?.traceback))).toEqual(meta?.result);
    expect(celeryException(failureFrom(new TypeError('x')))).toEqual({
      exc_type: 'TypeError',
      exc_message: ['x'],
      exc_module: 'builtins',
    });
  });

  it.each([
    [undefined],
    [null],
    ['text'],
    [5],
    [[]],
    [{}],
    [{ exc_type: {}, exc_message: { a: 1 }, exc_module: 5 }],
    [{ exc_message: [] }],
    [{ exc_type: 'x'.repeat(1e5), exc_message: 'y'.repeat(1e6) }],
  ])('are tolerated in any shape: %j', (exception) => {
    const failure = failureFromCelery(exception, { not: 'text' });
    expect(failure.type.length).toBeGreaterThan(0);
    expect(failure.type.length).toBeLessThanOrEqual(128);
    expect(failure.message.length).toBeLessThanOrEqual(4_096);
    expect(failure.stack).toBeUndefined();
  });
});

/** The stack goes first: defining it makes V8 read name and message. */
function hostileError(): Error {
  const error = new Error('x');
  for (const property of ['stack', 'cause', 'message', 'name'])
    Object.defineProperty(error, property, { get: throwing });
  return error;
}
