import type { FailureRecord } from '../errors/errors.js';
import { DEFAULT_MAX_FAILURE_MESSAGE, DEFAULT_MAX_FAILURE_STACK } from './failure.js';
import { pythonRepr } from './python-repr.js';
import { isRecord } from './wire-fields.js';

/** An exception as Celery stores it in the result of a failed task. */
export interface CeleryException {
  readonly exc_type: string;
  /** The exception's arguments. */
  readonly exc_message: readonly unknown[];
  readonly exc_module: string;
}

/** For Python readers; they raise a class of that name, with the message as its only argument. */
export function celeryException(failure: FailureRecord): CeleryException {
  const { type, module } = LIMITS.find(({ code }) => code === failure.code) ?? failure;
  return { exc_type: type, exc_message: [failure.message], exc_module: module };
}

/** What ended by a limit of time has a name in Python that its callers look for. */
const LIMITS = [
  { code: 'TIME_LIMIT_EXCEEDED', type: 'TimeLimitExceeded', module: 'billiard.exceptions' },
  { code: 'SOFT_TIME_LIMIT_EXCEEDED', type: 'SoftTimeLimitExceeded', module: 'billiard.exceptions' },
] as const;

/**
 * The failure that Celery stored, with its traceback text. Tolerant: whatever is stored, there is a record. A message
 * of one argument is that argument; of several it is their tuple, as `str()` of the exception in Python.
 */
export function failureFromCelery(exception: unknown, traceback?: unknown): FailureRecord {
  const fields = isRecord(exception) ? exception : {};
  const type = fields['exc_type'];
  const module = fields['exc_module'];
  const stack = typeof traceback === 'string' && traceback !== '' ? traceback : undefined;
  const limit = LIMITS.find((one) => one.type === type && one.module === module);
  return {
    type: typeof type === 'string' && type !== '' ? type.slice(0, MAX_NAME) : 'Exception',
    module: typeof module === 'string' && module !== '' ? module.slice(0, MAX_NAME) : 'builtins',
    message: exceptionText(isRecord(exception) ? fields['exc_message'] : exception).slice(
      0,
      DEFAULT_MAX_FAILURE_MESSAGE,
    ),
    // The end of a traceback says what happened.
    ...(stack === undefined ? {} : { stack: stack.slice(-DEFAULT_MAX_FAILURE_STACK) }),
    ...(limit === undefined ? {} : { code: limit.code }),
  };
}

const MAX_NAME = 128;

function exceptionText(message: unknown): string {
  if (message === undefined || message === null) return '';
  if (!Array.isArray(message)) return argumentText(message);
  if (message.length === 0) return '';
  return message.length === 1
    ? argumentText(message[0])
    : pythonRepr(message, { tuple: true, maxLength: DEFAULT_MAX_FAILURE_MESSAGE });
}

function argumentText(value: unknown): string {
  return typeof value === 'string' ? value : pythonRepr(value, { maxLength: DEFAULT_MAX_FAILURE_MESSAGE });
}
