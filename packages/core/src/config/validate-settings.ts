import { z } from 'zod';
import type { ConfigurationProblem } from '../errors/errors.js';
import { ConfigurationError } from '../errors/errors.js';
import { didYouMean } from '../errors/nearest-word.js';
import { parseAutoscale } from './autoscale.js';
import type { AutoscaleInit } from './autoscale.js';
import type { ByteSize } from './byte-size.js';
import { parseByteSize } from './byte-size.js';
import type { Duration } from './duration.js';
import { QUEUE_NAME } from './queue-name.js';
import { parseDuration } from './duration.js';
import { isPickle } from '../message/serializer.js';
import type { Serializer } from '../message/serializer.js';
import type { ProbeSettings, TaskQueueSettings, TaskQueueSettingsInit, WorkerSettings } from './settings.js';
import { DEFAULT_SETTINGS } from './settings.js';

const duration = (leastMs: number) =>
  z.custom<Duration>((value) => (parseDuration(value) ?? -1) >= leastMs, {
    error: `a duration of at least ${leastMs} ms, in milliseconds or as text such as '30s'`,
  });
const byteSize = (least: number) =>
  z.custom<ByteSize>((value) => (parseByteSize(value) ?? -1) >= least, {
    error: `a size of at least ${least} bytes, as a number or as text such as '200mb'`,
  });
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$|^\*$/, {
  error: "the name of a variable; a '*' at its end stands for anything",
});
/** Commands name workers separated by commas, here and in Celery: with one in its name nobody could. */
const workerName = z.string().regex(/^(?=[^]{1,255}$)(?!\s)[^,\p{Cc}]+(?<!\s)$/u, {
  error: '1 to 255 characters without commas, control characters, and spaces at its ends: commands name workers by it',
});
const queue = z.string().regex(QUEUE_NAME, { error: 'a queue name: 1 to 128 letters, digits and "_.:-"' });
const count = (least: number, most: number) =>
  z
    .number({ error: 'a number' })
    .int({ error: 'a whole number' })
    .min(least, { error: `at least ${least}` })
    .max(most, { error: `at most ${most}` });
const autoscale = z.custom<AutoscaleInit>((value) => parseAutoscale(value) !== undefined, {
  error: "{ max, min } or text such as '8,2': whole numbers from 1 to 10000, min not above max",
});
const perQueue = (most: number) =>
  z.record(queue, count(1, most), { error: 'queue names with numbers; in the environment reports=2,mail=4' });
const serializer = z.custom<Serializer>((value) => isSerializer(value), {
  error: 'a serializer that is made by msgpackSerializer or yamlSerializer, or one of your own; never pickle',
});
const flag = z.boolean({ error: 'true or false' });
const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: `one of ${values.join(', ')}` });

const probes = {
  healthPort: count(0, 65_535).optional(),
  healthHost: z.custom<string>((value) => typeof value === 'string' && /^[\w.:%-]{1,255}$/.test(value), {
    error: 'an address or name of this host',
  }),
  healthFile: z.string({ error: 'the path of a file' }).min(1, { error: 'the path of a file' }).optional(),
  metrics: flag,
};

const SETTINGS = z.strictObject({
  defaultQueue: queue,
  resultExpires: duration(0),
  dialect: oneOf(['5.6', '5.2']),
  headers: oneOf(['lean', 'full']),
  compression: oneOf(['zlib', 'gzip', 'brotli', 'none']),
  serializers: z.array(serializer).optional(),
  maxBodyBytes: count(1_024, 1_073_741_824),
  maxBodyDepth: count(4, 1_000),
  maxBodyKeys: count(16, 100_000_000),
  publishRetries: count(0, 1_000),
  client: z.strictObject({ sentEvents: flag }),
  worker: z.strictObject({
    name: workerName.optional(),
    queues: z.array(queue).min(1, { error: 'at least one queue' }).optional(),
    pool: oneOf(['async', 'solo', 'threads', 'prefork']),
    concurrency: count(1, 10_000).optional(),
    autoscale: autoscale.optional(),
    queueConcurrency: perQueue(10_000).optional(),
    queueOrder: oneOf(['strict', 'weighted']),
    queueWeights: perQueue(1_000).optional(),
    maxTasksPerChild: count(1, 1_000_000_000).optional(),
    maxMemoryPerChild: byteSize(1_048_576).optional(),
    childEnvironment: z.array(variable).optional(),
    lease: duration(1_000),
    shutdownGrace: duration(0),
    trackStarted: flag,
    maxLost: count(1, 1_000),
    control: oneOf(['all', 'inspect', 'none']),
    events: flag,
    heartbeat: duration(0),
    controlSecret: z.string().min(16, { error: 'at least 16 characters' }).max(1_000).optional(),
    logTasks: flag,
    logFields: flag,
    ...probes,
  }),
  beat: z.strictObject({ poll: duration(50), ...probes }),
});

/** Defaults, overlaid by `under`, overlaid by `over`. Throws a ConfigurationError with all problems at once. */
export function validateSettings(over: TaskQueueSettingsInit, under: TaskQueueSettingsInit = {}): TaskQueueSettings {
  const merged = overlay(overlay(DEFAULT_SETTINGS, under), over);
  const parsed = SETTINGS.safeParse(merged);
  const found = parsed.success ? [] : parsed.error.issues.flatMap((issue) => problems(issue, merged));
  found.push(...misshapen(over));
  found.push(...contradictions(merged.worker), ...portless('worker', merged.worker), ...portless('beat', merged.beat));
  if (found.length > 0) throw new ConfigurationError(found.map(hideSecret));
  const { client, worker, beat } = merged;
  return Object.freeze({
    ...merged,
    client: Object.freeze(client),
    worker: Object.freeze(worker),
    beat: Object.freeze(beat),
  });
}

/** Spread over the defaults, what is no object would change nothing, and nobody would hear of it. */
function misshapen(init: TaskQueueSettingsInit): ConfigurationProblem[] {
  const groups = ['client', 'worker', 'beat'] as const;
  return groups.flatMap((path) => {
    const value: unknown = init[path];
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return value === undefined || isObject ? [] : [{ path, expected: 'an object with settings', value }];
  });
}

/** Settings that are well by themselves and not together. */
function contradictions(worker: WorkerSettings): ConfigurationProblem[] {
  const { pool, concurrency, queueOrder, queueWeights } = worker;
  const range = parseAutoscale(worker.autoscale);
  const found: ConfigurationProblem[] = [];
  if (worker.autoscale !== undefined && pool === 'solo') {
    const remedy = 'The solo pool runs one task at a time, always.';
    found.push({ path: 'worker.autoscale', expected: 'none with the pool solo', value: worker.autoscale, remedy });
  }
  if (range !== undefined && typeof concurrency === 'number' && (concurrency < range.min || concurrency > range.max)) {
    const expected = `${range.min} to ${range.max}, the range of worker.autoscale, whose first size it is`;
    found.push({ path: 'worker.concurrency', expected, value: concurrency });
  }
  if (queueWeights !== undefined && queueOrder !== 'weighted') {
    const remedy = "Set worker.queueOrder to 'weighted'.";
    found.push({ path: 'worker.queueWeights', expected: 'none in the strict order', value: queueWeights, remedy });
  }
  return found;
}

function portless(path: string, { metrics, healthPort }: ProbeSettings): ConfigurationProblem[] {
  if (metrics !== true || healthPort !== undefined) return [];
  const remedy = `Set ${path}.healthPort: metrics are answered there.`;
  return [{ path: `${path}.metrics`, expected: 'false without a health port', value: metrics, remedy }];
}

function hideSecret(problem: ConfigurationProblem): ConfigurationProblem {
  return problem.path === 'worker.controlSecret' ? { ...problem, value: '(hidden)' } : problem;
}

function overlay(base: TaskQueueSettings, init: TaskQueueSettingsInit): TaskQueueSettings {
  const { client, worker, beat, ...rest } = init;
  return {
    ...base,
    ...defined(rest),
    client: { ...base.client, ...defined(client ?? {}) },
    worker: { ...base.worker, ...defined(worker ?? {}) },
    beat: { ...base.beat, ...defined(beat ?? {}) },
  };
}

/** Undefined means "not given", so that `concurrency: options.concurrency` does what its writer means. */
function defined<T extends object>(init: T): Partial<T> {
  return Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function problems(issue: z.core.$ZodIssue, settings: unknown): ConfigurationProblem[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(at(DEFAULT_SETTINGS, path) ?? {});
    return issue.keys.map((key) => {
      const remedy = didYouMean(key, known);
      return {
        path: [...path, key].join('.'),
        expected: `one of ${known.join(', ')}`,
        value: at(settings, [...path, key]),
        ...(remedy === undefined ? {} : { remedy }),
      };
    });
  }
  return [{ path: path.join('.'), expected: issue.message, value: at(settings, path) }];
}

function at(value: unknown, path: readonly string[]): object | undefined {
  let current: unknown = value;
  for (const key of path) current = (current as Record<string, unknown> | undefined)?.[key];
  return current as object | undefined;
}

function isSerializer(value: unknown): boolean {
  const { name, contentType, encode, decode } = (value ?? {}) as Partial<Serializer>;
  if (typeof name !== 'string' || typeof contentType !== 'string' || isPickle(name) || isPickle(contentType))
    return false;
  return typeof encode === 'function' && typeof decode === 'function';
}
