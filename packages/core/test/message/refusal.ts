import { isTaskQueueError } from '../../src/errors/errors.js';

/** The facts of the error that the work ends with. */
export function refusal(work: () => unknown): { code: string; message: string; fields: Record<string, unknown> } {
  try {
    work();
  } catch (error) {
    if (isTaskQueueError(error)) return { code: error.code, message: error.message, fields: { ...error.fields } };
    throw error;
  }
  throw new Error('was not refused');
}
