import type { ErrorCode } from './error-codes.js';

/** Marks our errors across realms and duplicate copies of this package, where `instanceof` fails. */
const BRAND: unique symbol = Symbol.for('@taskqueue/error') as never;

/** What every error of ours is made from. */
export interface TaskQueueErrorInit {
  /** Stable code, listed in the error reference. */
  readonly code: ErrorCode;
  /** What is wrong, with the field and the value. */
  readonly message: string;
  /** What to do about it, one sentence. */
  readonly remedy?: string;
  /** Whether the same call may succeed later without a change. Default false. */
  readonly retryable?: boolean;
  /** Machine-readable particulars: `field`, `value`, `expected`, … */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Base of all errors thrown by Task Queue. Recognise one by {@link isTaskQueueError} and its `code`. */
export class TaskQueueError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly retryable: boolean;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(init: TaskQueueErrorInit) {
    super(
      init.remedy === undefined ? init.message : `${init.message} ${init.remedy}`,
      init.cause === undefined ? undefined : { cause: init.cause },
    );
    this.name = new.target.name;
    this.code = init.code;
    this.remedy = init.remedy;
    this.retryable = init.retryable ?? false;
    this.fields = init.fields ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for any error of ours, also one made by another copy of this package; with a code, for that code only. */
export function isTaskQueueError(error: unknown, code?: ErrorCode): error is TaskQueueError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as unknown as TaskQueueError).code === code;
}

/** One problem of a configuration: where, what was expected, what was found. */
export interface ConfigurationProblem {
  readonly path: string;
  readonly expected: string;
  readonly value: unknown;
  readonly remedy?: string;
}

/** The configuration cannot be used. Lists every problem at once. */
export class ConfigurationError extends TaskQueueError {
  constructor(problems: readonly ConfigurationProblem[]) {
    super({
      code: 'CONFIGURATION_INVALID',
      message: `The task queue configuration has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${problems.map(describeProblem).join('\n')}`,
      fields: { problems },
    });
  }

  get problems(): readonly ConfigurationProblem[] {
    return this.fields['problems'] as readonly ConfigurationProblem[];
  }
}

/** The caller asked for something that cannot be: an unknown task, an unserialisable argument, … */
export class UsageError extends TaskQueueError {}
/** The broker could not do what was asked. */
export class BrokerError extends TaskQueueError {}
/** A message that cannot be understood or must not be. */
export class MessageError extends TaskQueueError {}
/** A result could not be had. The task itself may be well. */
export class ResultError extends TaskQueueError {}

/** A task did not succeed; thrown by `handle.get()`. `failure` is the remote failure with its stack. */
export class TaskError extends TaskQueueError {
  constructor(
    init: TaskQueueErrorInit,
    readonly taskId: string,
    readonly failure: FailureRecord | undefined,
  ) {
    super(init);
  }
}

/**
 * An error as data: what travels in results, dead letters and events. Never turned into a class chosen by the sender.
 * Python's `exc_type`, `exc_module` and `exc_message` map onto `type`, `module` and `args`.
 */
export interface FailureRecord {
  /** Name of the error class, e.g. `SmtpError`. */
  readonly type: string;
  /** Module of the class for Python readers; `builtins` unless known better. */
  readonly module: string;
  /** Text, bounded. */
  readonly message: string;
  /** Remote stack or Python traceback, bounded. */
  readonly stack?: string;
  /** Code property of the error, when it had one. */
  readonly code?: string;
  readonly cause?: FailureRecord;
}

function describeProblem(problem: ConfigurationProblem): string {
  const remedy = problem.remedy === undefined ? '' : ` ${problem.remedy}`;
  return `  - ${problem.path}: expected ${problem.expected}, got ${showValue(problem.value)}.${remedy}`;
}

/** A value as bounded text for an error message. Never throws. */
export function showValue(value: unknown): string {
  try {
    const text =
      typeof value === 'string' || typeof value === 'object' ? JSON.stringify(value) : String(value as symbol);
    const shown = text ?? 'undefined';
    return shown.length > 120 ? `${shown.slice(0, 117)}...` : shown;
  } catch {
    return Object.prototype.toString.call(value);
  }
}
