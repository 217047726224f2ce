import { showValue, UsageError } from '../errors/errors.js';

/** What every broker can carry as a key, and a shell can quote. */
export const QUEUE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;

/** Throws QUEUE_NAME_INVALID unless the name can be used on every broker. */
export function checkQueueName(name: string): void {
  if (typeof name === 'string' && QUEUE_NAME.test(name)) return;
  throw new UsageError({
    code: 'QUEUE_NAME_INVALID',
    message: `${showValue(name)} is not a queue name.`,
    remedy: 'Use 1 to 128 letters, digits, and "_.:-", beginning with a letter, digit or "_".',
    fields: { field: 'queue', value: name },
  });
}
