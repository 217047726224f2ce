import type { StandardSchemaV1 } from '@standard-schema/spec';
import { QUEUE_NAME } from '../config/queue-name.js';
import { parseDuration } from '../config/duration.js';
import type { ConfigurationProblem } from '../errors/errors.js';
import { ConfigurationError, UsageError } from '../errors/errors.js';
import { MAX_LIMIT_SECONDS } from '../message/wire-fields.js';
import type { ErrorMatcher, RetryPolicy } from './retry-policy.js';
import { checkMatchers, retryPolicy } from './retry-policy.js';
import type { RateLimit } from './rate-limit.js';
import { parseRateLimit, RATE_EXPECTED } from './rate-limit.js';
import type { TaskOptions } from './task-options.js';
import { MAX_PRIORITY } from './task-options.js';

/** A task as the rest of core knows it: options checked, defaults filled in, durations in milliseconds. */
export interface TaskDefinition {
  readonly name: string;
  readonly queue: string | undefined;
  readonly priority: number;
  /** One schema an argument; a hole means unchecked. */
  readonly schemas: readonly StandardSchemaV1[];
  readonly params: readonly string[];
  /** Arguments that the handler takes at most; undefined where that is not known, as of a plain function. */
  readonly maxArguments: number | undefined;
  readonly retry: RetryPolicy;
  readonly expiresMs: number | undefined;
  readonly softTimeLimitMs: number | undefined;
  readonly timeLimitMs: number | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly ack: 'late' | 'early';
  readonly ignoreResult: boolean;
  readonly storeErrorsEvenIfIgnored: boolean;
  readonly trackStarted: boolean | undefined;
  readonly throws: readonly ErrorMatcher[];
  readonly bind: boolean;
  readonly resultExpiresMs: number | undefined;
}

/** What every broker can carry as a key, and a shell can quote. */
const TASK_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,254}$/;

const KNOWN_OPTIONS: ReadonlySet<string> = new Set<keyof TaskOptions>([
  'name',
  'queue',
  'priority',
  'schema',
  'params',
  'retry',
  'expires',
  'softTimeLimit',
  'timeLimit',
  'rateLimit',
  'ack',
  'ignoreResult',
  'storeErrorsEvenIfIgnored',
  'trackStarted',
  'throws',
  'bind',
  'resultExpires',
]);

/** Turns a schema option into Standard Schemas. Classes need an adapter, which the Nest package brings. */
export type SchemaAdapter = (schemaClass: new () => object) => StandardSchemaV1;

/** What only the place that the task is defined in can know. */
export interface TaskSurroundings {
  readonly adapter?: SchemaAdapter;
  readonly maxArguments?: number | undefined;
}

/** Checks the options and fills in the defaults. Throws a ConfigurationError with every problem. */
export function defineTask(
  name: string,
  options: TaskOptions = {},
  { adapter, maxArguments }: TaskSurroundings = {},
): TaskDefinition {
  const problems: ConfigurationProblem[] = [];
  const path = `task ${name}`;
  checkNames(name, options, path, problems);
  const duration = (field: 'expires' | 'softTimeLimit' | 'timeLimit' | 'resultExpires'): number | undefined => {
    const value = options[field];
    if (value === undefined) return undefined;
    const parsed = parseDuration(value);
    if (parsed === undefined) {
      problems.push({ path: `${path}.${field}`, expected: "milliseconds or text such as '30s'", value });
    }
    return parsed;
  };
  const limits = { soft: duration('softTimeLimit'), hard: duration('timeLimit') };
  checkValues(options, limits, path, problems);
  const retry = collect(() => retryPolicy(options.retry), path, problems);
  collect(() => checkMatchers(options.throws ?? [], 'throws'), path, problems);
  const schemas = collect(() => schemaList(options.schema, adapter, path), path, problems);
  const expiresMs = duration('expires');
  const resultExpiresMs = duration('resultExpires');
  if (problems.length > 0 || retry === undefined || schemas === undefined) throw new ConfigurationError(problems);
  return {
    name,
    queue: options.queue,
    priority: options.priority ?? 0,
    schemas,
    params: options.params ?? [],
    maxArguments,
    retry,
    expiresMs,
    softTimeLimitMs: limits.soft,
    timeLimitMs: limits.hard,
    rateLimit: parseRateLimit(options.rateLimit),
    ack: options.ack ?? 'late',
    ignoreResult: options.ignoreResult ?? false,
    storeErrorsEvenIfIgnored: options.storeErrorsEvenIfIgnored ?? false,
    trackStarted: options.trackStarted,
    throws: options.throws ?? [],
    bind: options.bind ?? false,
    resultExpiresMs,
  };
}

function checkNames(name: string, options: TaskOptions, path: string, problems: ConfigurationProblem[]): void {
  for (const key of Object.keys(options)) {
    if (!KNOWN_OPTIONS.has(key)) {
      problems.push({ path: `${path}.${key}`, expected: `one of ${[...KNOWN_OPTIONS].join(', ')}`, value: key });
    }
  }
  if (!TASK_NAME.test(name)) {
    problems.push({ path: `${path}.name`, expected: '1 to 255 letters, digits and "_.:/-"', value: name });
  }
  if (options.queue !== undefined && !QUEUE_NAME.test(options.queue)) {
    problems.push({ path: `${path}.queue`, expected: '1 to 128 letters, digits and "_.:-"', value: options.queue });
  }
}

function checkValues(
  options: TaskOptions,
  limits: { readonly soft: number | undefined; readonly hard: number | undefined },
  path: string,
  problems: ConfigurationProblem[],
): void {
  const { priority, ack } = options;
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority <= MAX_PRIORITY)) {
    problems.push({ path: `${path}.priority`, expected: `a whole number from 0 to ${MAX_PRIORITY}`, value: priority });
  }
  if (ack !== undefined && ack !== 'late' && ack !== 'early') {
    problems.push({ path: `${path}.ack`, expected: "'late' or 'early'", value: ack });
  }
  for (const field of ['ignoreResult', 'storeErrorsEvenIfIgnored', 'trackStarted', 'bind'] as const) {
    const value = options[field];
    if (value !== undefined && typeof value !== 'boolean') {
      problems.push({ path: `${path}.${field}`, expected: 'true or false', value });
    }
  }
  if (options.rateLimit !== undefined && parseRateLimit(options.rateLimit) === undefined) {
    const expected = `${RATE_EXPECTED}, or { limit, scope: 'worker' | 'cluster' }`;
    problems.push({ path: `${path}.rateLimit`, expected, value: options.rateLimit });
  }
  for (const [field, limit] of [
    ['softTimeLimit', limits.soft],
    ['timeLimit', limits.hard],
  ] as const) {
    if (limit !== undefined && (limit <= 0 || limit > MAX_LIMIT_SECONDS * 1_000)) {
      const expected = `more than 0 and at most ${MAX_LIMIT_SECONDS} seconds`;
      problems.push({ path: `${path}.${field}`, expected, value: options[field] });
    }
  }
  if (limits.soft !== undefined && limits.hard !== undefined && limits.soft > limits.hard) {
    problems.push({
      path: `${path}.softTimeLimit`,
      expected: 'not more than timeLimit',
      value: options.softTimeLimit,
      remedy: 'The soft limit is the warning before the hard one.',
    });
  }
}

function schemaList(
  schema: TaskOptions['schema'],
  adapter: SchemaAdapter | undefined,
  path: string,
): readonly StandardSchemaV1[] {
  if (schema === undefined) return [];
  const list: readonly unknown[] = Array.isArray(schema) ? schema : [schema];
  return list.map((one): StandardSchemaV1 => {
    if (typeof one === 'object' && one !== null && '~standard' in one) return one as StandardSchemaV1;
    // arktype's schemas are functions
    if (typeof one === 'function' && '~standard' in one) return one as unknown as StandardSchemaV1;
    if (typeof one === 'function' && adapter !== undefined) return adapter(one as new () => object);
    throw new ConfigurationError([
      { path: `${path}.schema`, expected: 'a Standard Schema or a DTO class', value: one },
    ]);
  });
}

function collect<T>(make: () => T, path: string, problems: ConfigurationProblem[]): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof ConfigurationError) problems.push(...error.problems);
    else if (error instanceof UsageError) {
      const { field, value, expected } = error.fields;
      problems.push({
        path: `${path}.${String(field)}`,
        expected: typeof expected === 'string' ? expected : 'a duration',
        value,
      });
    } else throw error;
    return undefined;
  }
}
