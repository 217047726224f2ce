import { CommanderError } from 'commander';
import type { ErrorCode } from '@taskqueue/core';
import { isTaskQueueError, UsageError } from '@taskqueue/core';
import { EXIT } from './exit-codes.js';
import type { ExitCode } from './exit-codes.js';

/** What the caller got wrong, and will get wrong again. */
const USAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONFIGURATION_INVALID',
  'COMMAND_INVALID',
  'TASK_UNKNOWN',
  'TASK_ARGUMENTS_INVALID',
  'TASK_OPTIONS_INVALID',
  'VALUE_NOT_SERIALIZABLE',
  'QUEUE_NAME_INVALID',
  'EVENT_TYPE_UNKNOWN',
  'RESULTS_REQUIRED',
  'CAPABILITY_UNSUPPORTED',
]);

/** Wrong words on the command line. */
export function wrongUse(message: string, remedy?: string): UsageError {
  return new UsageError({ code: 'COMMAND_INVALID', message, ...(remedy === undefined ? {} : { remedy }) });
}

/**
 * Says what went wrong, in one line where it is known, and gives the code to end with. Our own errors explain themselves;
 * with `debug` all have their stack.
 */
export function explainFailure(error: unknown, debug: boolean): ExitCode {
  // The parser has said already what is wrong; asking for help or the version is not.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  process.stderr.write(`taskqueue: ${textOf(error, debug)}\n`);
  if (!isTaskQueueError(error)) return EXIT.failed;
  if (error.code === 'RESULT_TIMEOUT') return EXIT.pending;
  return USAGE.has(error.code) ? EXIT.usage : EXIT.failed;
}

function textOf(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (debug) return error.stack ?? error.message;
  if (isTaskQueueError(error)) return `${inOneLine(error.message)} (${error.code})`;
  return `${error.message} (${error.name}; --debug shows where it came from)`;
}

/** The one problem of a configuration needs no list. */
function inOneLine(message: string): string {
  const [, problem, ...more] = message.split('\n');
  return problem === undefined || more.length > 0 ? message : problem.replace(/^ *- /, '');
}
