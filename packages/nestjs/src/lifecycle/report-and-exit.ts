import { isTaskQueueError } from '@taskqueue/core';

/**
 * A start that failed: our own errors explain themselves, others need their stack. Ends the process with code 1; with code 2
 * for settings that cannot be used, which no further start makes better.
 */
export function reportAndExit(what: string, error: unknown): never {
  const text = isTaskQueueError(error)
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  process.stderr.write(`${what}: ${text}\n`);
  process.exit(isTaskQueueError(error, 'CONFIGURATION_INVALID') ? 2 : 1);
}
