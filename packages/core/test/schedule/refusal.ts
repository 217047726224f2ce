import { expect } from 'vitest';
import { UsageError } from '../../src/errors/errors.js';

/** The UsageError `SCHEDULE_INVALID` that the call throws. */
export function refusal(call: () => unknown): UsageError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: 'SCHEDULE_INVALID' });
    return error as UsageError;
  }
  throw new Error('The call was expected to be refused.');
}
