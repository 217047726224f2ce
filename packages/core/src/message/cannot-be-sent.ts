import { showValue, UsageError } from '../errors/errors.js';

/** What is wrong with a message that a broker is asked to send: PUBLISH_FAILED, naming field, value and what was expected. */
export function cannotBeSent(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'PUBLISH_FAILED',
    message: `The message cannot be sent: ${field} is ${showValue(value)}, expected ${expected}.`,
    fields: { field, value, expected },
  });
}
