import { MessageError } from '../errors/errors.js';

/** The error of every message that cannot be understood. Its text never quotes a body: that may hold secrets. */
export function undecodable(message: string, fields: Readonly<Record<string, unknown>> = {}): MessageError {
  return new MessageError({ code: 'DECODE_FAILED', message, fields });
}
