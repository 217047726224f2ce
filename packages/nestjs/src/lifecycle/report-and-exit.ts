import { isTaskQueueError } from '@taskqueue/core';

/** A start that failed: our own errors explain themselves, others need their stack. Ends the process with code 1. */
export function reportAndExit(what: string, error: unknown): never {
  const text = isTaskQueueError(error)
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  process.stderr.write(`${what}: ${text}\n`);
  process.exit(1);
}
