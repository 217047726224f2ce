import ms, { type StringValue } from 'ms';
import { UsageError, showValue } from '../errors/errors.js';

type Unit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w';

/** Milliseconds as a number, or text with a unit: `'500ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`, `'1w'`. */
export type Duration = number | `${number}${Unit}` | `${number} ${Unit}`;

const DURATION_TEXT = /^\d+(\.\d+)? ?(ms|s|m|h|d|w)$/;

/** The duration in milliseconds, or undefined when it is not one: negative, not finite, or text we do not know. */
export function parseDuration(duration: unknown): number | undefined {
  if (typeof duration === 'number') return Number.isFinite(duration) && duration >= 0 ? duration : undefined;
  if (typeof duration !== 'string' || duration.length > 32 || !DURATION_TEXT.test(duration)) return undefined;
  return ms(duration as StringValue);
}

/** The duration in milliseconds. Throws a UsageError that names the field otherwise. */
export function toMilliseconds(duration: Duration, field: string): number {
  const parsed = parseDuration(duration);
  if (parsed === undefined) {
    throw new UsageError({
      code: 'TASK_OPTIONS_INVALID',
      message: `${field} must be a duration, got ${showValue(duration)}.`,
      remedy: "Give milliseconds as a number, or text such as '30s', '5m' or '2h'.",
      fields: { field, value: duration },
    });
  }
  return parsed;
}
