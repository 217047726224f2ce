import { AssertionError } from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import { decodeValue, encodeValue } from '../message/encoded-value.js';
import { serializerFrom, serializersFrom } from '../message/wire-format.js';
import { validateSettings } from '../config/validate-settings.js';
import type { EnqueuedLog, EnqueuedTask } from './recording-driver.js';

/** What a task must be like; what is not given may be anything. */
export interface ExpectedTask {
  readonly task: string;
  /** Compared as they arrive: what JSON leaves out is left out here, too. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly queue?: string;
  readonly priority?: number;
  /** An instant, or `later` for any instant that was not at once. */
  readonly eta?: Date | 'later';
  /** All of these; there may be more. */
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** The first task that fits. Throws an AssertionError that lists what was enqueued instead. */
export function assertEnqueued(log: EnqueuedLog, expected: ExpectedTask): EnqueuedTask {
  const found = log.list().find((task) => fits(task, expected));
  if (found !== undefined) return found;
  throw failure(`Expected ${shown(expected)} to be enqueued.`, log, expected, assertEnqueued);
}

/** Throws an AssertionError when a task fits. */
export function refuteEnqueued(log: EnqueuedLog, unexpected: ExpectedTask): void {
  if (!log.list().some((task) => fits(task, unexpected))) return;
  throw failure(`Expected ${shown(unexpected)} not to be enqueued.`, log, unexpected, refuteEnqueued);
}

function fits(task: EnqueuedTask, expected: ExpectedTask): boolean {
  return (
    task.task === expected.task &&
    (expected.args === undefined || isDeepStrictEqual(task.args, travelled(expected.args))) &&
    (expected.kwargs === undefined || isDeepStrictEqual(task.kwargs, travelled(expected.kwargs))) &&
    (expected.queue === undefined || task.queue === expected.queue) &&
    (expected.priority === undefined || task.priority === expected.priority) &&
    fitsEta(task, expected.eta) &&
    Object.entries(expected.headers ?? {}).every(([key, value]) => isDeepStrictEqual(task.headers[key], value))
  );
}

function fitsEta(task: EnqueuedTask, eta: ExpectedTask['eta']): boolean {
  if (eta === undefined) return true;
  return eta === 'later' ? task.eta !== undefined : task.eta === eta.getTime();
}

const SETTINGS = validateSettings({});

/** The value as a worker sees it. */
function travelled(value: unknown): unknown {
  return decodeValue(serializersFrom(SETTINGS), encodeValue(serializerFrom(SETTINGS), value, 'expected'));
}

function failure(
  what: string,
  log: EnqueuedLog,
  expected: ExpectedTask,
  stackStartFn: (log: EnqueuedLog, expected: ExpectedTask) => unknown,
): AssertionError {
  const tasks = log.list();
  const list =
    tasks.length === 0 ? 'Nothing was enqueued.' : `Enqueued:\n${tasks.map((one) => `  - ${shown(one)}`).join('\n')}`;
  return new AssertionError({
    message: `${what} ${list}`,
    actual: tasks,
    expected,
    operator: 'enqueued',
    stackStartFn,
  });
}

function shown(task: ExpectedTask | EnqueuedTask): string {
  const args = task.args === undefined ? '…' : task.args.map((arg) => JSON.stringify(arg) ?? 'undefined').join(', ');
  const kwargs = Object.entries(task.kwargs ?? {}).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  const details = [
    ...(task.queue === undefined ? [] : [`queue ${task.queue}`]),
    ...(task.eta === undefined ? [] : [`eta ${etaText(task.eta)}`]),
    ...Object.entries(task.headers ?? {}).map(([key, value]) => `header ${key} ${JSON.stringify(value)}`),
  ];
  const suffix = details.length === 0 ? '' : ` [${details.join(', ')}]`;
  return `${task.task}(${[args, ...kwargs].filter((part) => part !== '').join(', ')})${suffix}`;
}

function etaText(eta: number | Date | 'later'): string {
  return eta === 'later' ? eta : new Date(eta).toISOString();
}
