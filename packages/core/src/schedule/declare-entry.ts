import type { Duration } from '../config/duration.js';
import { parseDuration } from '../config/duration.js';
import { QUEUE_NAME } from '../config/queue-name.js';
import type { ConfigurationProblem } from '../errors/errors.js';
import { ConfigurationError, isTaskQueueError } from '../errors/errors.js';
import { didYouMean } from '../errors/nearest-word.js';
import { parseCrontabText } from './crontab-parser.js';
import type { CrontabSpec, ScheduleSpec, SolarEvent } from './schedule.js';
import type { MisfirePolicy, OverlapPolicy, ScheduleEntry } from './schedule-entry.js';
import { SCHEDULE_ENTRY_DEFAULTS } from './schedule-entry.js';
import { validateScheduleSpec } from './schedule-factory.js';
import { BATCH_LIMIT } from './due.js';
import { MAX_PRIORITY } from '../task/task-options.js';

/** When; exactly one of the four. */
export interface ScheduleInit {
  /** A fixed interval, at least 1 ms. */
  readonly every?: Duration;
  /** Five-field text such as `'0 15 * * mon-fri'` (UTC), or the fields with a time zone. */
  readonly crontab?: string | Omit<CrontabSpec, 'kind'>;
  /** Once, at this instant. */
  readonly clocked?: Date;
  readonly solar?: { readonly event: SolarEvent; readonly latitude: number; readonly longitude: number };
}

/** A schedule entry as one writes it in code. Defaults are those of {@link ScheduleEntry}. */
export interface ScheduleEntryInit extends ScheduleInit {
  readonly name: string;
  readonly task: string;
  /** What JSON can hold, as are `kwargs` and `headers`: the entry is kept as text that an operator may edit. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly queue?: string;
  readonly priority?: number;
  readonly headers?: Readonly<Record<string, unknown>>;
  /** A duration from the due instant, or an instant after which nothing is sent. */
  readonly expires?: Duration | Date;
  readonly oneOff?: boolean;
  readonly startTime?: Date;
  readonly enabled?: boolean;
  readonly description?: string;
  readonly misfire?: MisfirePolicy;
  readonly misfireLimit?: number;
  readonly misfireGrace?: Duration;
  readonly jitter?: Duration;
  readonly overlap?: OverlapPolicy;
}

/** Of arguments and headers; messages have no room for more either. */
const DEEPEST = 100;

/** As often as a beat can be told to look, `beat.poll`. */
const LEAST_GRACE_MS = 50;

const KNOWN_FIELDS: ReadonlySet<string> = new Set<keyof ScheduleEntryInit>([
  'name',
  'task',
  'every',
  'crontab',
  'clocked',
  'solar',
  'args',
  'kwargs',
  'queue',
  'priority',
  'headers',
  'expires',
  'oneOff',
  'startTime',
  'enabled',
  'description',
  'misfire',
  'misfireLimit',
  'misfireGrace',
  'jitter',
  'overlap',
]);

/** Turns it into a plain entry. Throws a ConfigurationError with every problem. */
export function declareEntry(init: ScheduleEntryInit): ScheduleEntry {
  const path = `schedule ${init.name}`;
  const problems: ConfigurationProblem[] = [];
  const duration = (field: 'misfireGrace' | 'jitter'): number | undefined => {
    const parsed = init[field] === undefined ? undefined : parseDuration(init[field]);
    if (init[field] !== undefined && parsed === undefined) {
      problems.push({ path: `${path}.${field}`, expected: 'a duration', value: init[field] });
    }
    return parsed;
  };
  const schedule = specFrom(init, path, problems);
  const expiresMs =
    init.expires === undefined || init.expires instanceof Date ? undefined : parseDuration(init.expires);
  if (init.expires !== undefined && !(init.expires instanceof Date) && !(expiresMs !== undefined && expiresMs > 0)) {
    problems.push({ path: `${path}.expires`, expected: 'a duration above 0, or a Date', value: init.expires });
  }
  checkKeys(init, path, problems);
  checkCall(init, path, problems);
  checkDates(init, path, problems);
  checkPolicies(init, path, problems);
  const misfireGraceMs = duration('misfireGrace');
  const jitterMs = duration('jitter');
  checkGrace(init, misfireGraceMs, path, problems);
  if (problems.length > 0 || schedule === undefined) throw new ConfigurationError(problems);
  const {
    every: _1,
    crontab: _2,
    clocked: _3,
    solar: _4,
    expires,
    misfireGrace: _5,
    jitter: _6,
    startTime,
    ...rest
  } = init;
  return {
    ...SCHEDULE_ENTRY_DEFAULTS,
    oneOff: schedule.kind === 'clocked',
    ...withoutUndefined(rest),
    schedule,
    ...(expiresMs === undefined ? {} : { expiresMs }),
    ...(expires instanceof Date ? { expiresAt: expires.getTime() } : {}),
    ...(startTime === undefined ? {} : { startTime: startTime.getTime() }),
    ...(misfireGraceMs === undefined ? {} : { misfireGraceMs: Math.round(misfireGraceMs) }),
    ...(jitterMs === undefined ? {} : { jitterMs: Math.round(jitterMs) }),
  };
}

function checkKeys(init: ScheduleEntryInit, path: string, problems: ConfigurationProblem[]): void {
  for (const key of Object.keys(init)) {
    if (KNOWN_FIELDS.has(key)) continue;
    const remedy = didYouMean(key, KNOWN_FIELDS);
    const expected = `one of ${[...KNOWN_FIELDS].join(', ')}`;
    problems.push({ path: `${path}.${key}`, expected, value: key, ...(remedy === undefined ? {} : { remedy }) });
  }
}

/** What is sent. Whether the task takes it is for whoever knows the task. */
function checkCall(init: ScheduleEntryInit, path: string, problems: ConfigurationProblem[]): void {
  const { name, task, queue, priority, args = [], kwargs = {}, headers = {} } = init;
  if (typeof name !== 'string' || name === '' || name.length > 200) {
    problems.push({ path: `${path}.name`, expected: '1 to 200 characters', value: name });
  }
  if (typeof task !== 'string' || task === '' || task.length > 200) {
    problems.push({ path: `${path}.task`, expected: 'the name of a task, 1 to 200 characters', value: task });
  }
  if (queue !== undefined && !QUEUE_NAME.test(queue)) {
    const expected = 'a queue name: 1 to 128 letters, digits and "_.:-"';
    problems.push({ path: `${path}.queue`, expected, value: queue });
  }
  if (!isWhole(priority, MAX_PRIORITY)) {
    problems.push({ path: `${path}.priority`, expected: `a whole number from 0 to ${MAX_PRIORITY}`, value: priority });
  }
  if (!Array.isArray(args)) problems.push({ path: `${path}.args`, expected: 'a list', value: args });
  for (const [field, value] of Object.entries({ args, kwargs, headers })) {
    if (field !== 'args' && !isRecord(value)) {
      problems.push({ path: `${path}.${field}`, expected: 'an object', value });
    } else if (!isJson(value)) {
      const remedy = 'Send text or a number, and let the task make of it what it needs.';
      problems.push({ path: `${path}.${field}`, expected: 'what JSON can hold', value, remedy });
    }
  }
}

function checkDates(init: ScheduleEntryInit, path: string, problems: ConfigurationProblem[]): void {
  for (const field of ['startTime', 'expires', 'clocked'] as const) {
    const value: unknown = init[field];
    if (value instanceof Date) {
      const year = value.getUTCFullYear();
      if (year >= 1 && year <= 9_999) continue;
      problems.push({ path: `${path}.${field}`, expected: 'a Date of the years 1 to 9999', value: String(value) });
    } else if (value !== undefined && field !== 'expires') {
      problems.push({ path: `${path}.${field}`, expected: 'a Date', value });
    }
  }
}

function checkPolicies(init: ScheduleEntryInit, path: string, problems: ConfigurationProblem[]): void {
  const { misfire, misfireLimit, overlap, description } = init;
  for (const field of ['enabled', 'oneOff'] as const) {
    if (init[field] !== undefined && typeof init[field] !== 'boolean') {
      problems.push({ path: `${path}.${field}`, expected: 'true or false', value: init[field] });
    }
  }
  if (description !== undefined && typeof description !== 'string') {
    problems.push({ path: `${path}.description`, expected: 'text', value: description });
  }
  if (misfire !== undefined && !['skip', 'one', 'all'].includes(misfire)) {
    problems.push({ path: `${path}.misfire`, expected: "'skip', 'one' or 'all'", value: misfire });
  }
  if (overlap !== undefined && !['allow', 'skip'].includes(overlap)) {
    problems.push({ path: `${path}.overlap`, expected: "'allow' or 'skip'", value: overlap });
  }
  if (!isWhole(misfireLimit, BATCH_LIMIT)) {
    const expected = `a whole number from 0 to ${BATCH_LIMIT}`;
    problems.push({ path: `${path}.misfireLimit`, expected, value: misfireLimit });
  }
}

/** Beat sends some milliseconds late at best, so with no grace to speak of every occurrence would be one that was missed. */
function checkGrace(
  { misfire, misfireLimit, misfireGrace }: ScheduleEntryInit,
  graceMs: number | undefined,
  path: string,
  problems: ConfigurationProblem[],
): void {
  const sendsNoneOfTheMissed = misfire === 'skip' || (misfire === 'all' && misfireLimit === 0);
  if (!sendsNoneOfTheMissed || graceMs === undefined || graceMs >= LEAST_GRACE_MS) return;
  const expected = `at least ${LEAST_GRACE_MS} ms where what was missed is not sent`;
  const remedy = 'Beat is some milliseconds late at best, and would send nothing at all.';
  problems.push({ path: `${path}.misfireGrace`, expected, value: misfireGrace, remedy });
}

function isWhole(value: number | undefined, most: number): boolean {
  return value === undefined || (Number.isInteger(value) && value >= 0 && value <= most);
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Would it come back from JSON as it was? Not so dates, bytes, NaN, functions, cycles. */
function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth > DEEPEST) return false;
  if (Array.isArray(value)) return Array.from(value).every((item) => isJson(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return Object.values(value).every((item) => isJson(item, depth + 1));
}

function specFrom(init: ScheduleInit, path: string, problems: ConfigurationProblem[]): ScheduleSpec | undefined {
  const given = (['every', 'crontab', 'clocked', 'solar'] as const).filter((kind) => init[kind] !== undefined);
  const [kind] = given;
  if (given.length !== 1 || kind === undefined) {
    problems.push({ path, expected: 'exactly one of every, crontab, clocked, solar', value: given });
    return undefined;
  }
  try {
    const spec = makeSpec(init, kind);
    problems.push(...validateScheduleSpec(spec, `${path}.${kind}`));
    return spec;
  } catch (error) {
    if (!isTaskQueueError(error, 'SCHEDULE_INVALID')) throw error;
    const found = error.fields['problems'] as readonly ConfigurationProblem[];
    problems.push(...found.map((problem) => ({ ...problem, path: `${path}.${problem.path}` })));
    return undefined;
  }
}

function makeSpec(init: ScheduleInit, kind: 'every' | 'crontab' | 'clocked' | 'solar'): ScheduleSpec {
  switch (kind) {
    case 'every':
      return { kind: 'interval', everyMs: parseDuration(init.every) ?? Number.NaN };
    case 'crontab':
      return typeof init.crontab === 'string' ? parseCrontabText(init.crontab) : { kind: 'crontab', ...init.crontab };
    case 'clocked':
      return { kind: 'clocked', at: init.clocked instanceof Date ? init.clocked.getTime() : Number.NaN };
    case 'solar':
      return { kind: 'solar', ...(init.solar as NonNullable<ScheduleInit['solar']>) };
  }
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T;
}
