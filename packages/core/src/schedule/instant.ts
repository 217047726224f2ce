/** The last instant a Date can hold, epoch milliseconds; its negative is the first. */
export const LAST_INSTANT = 8.64e15;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Is it a whole number of epoch milliseconds that a Date can hold? */
export function isInstant(value: unknown): value is number {
  return Number.isInteger(value) && Math.abs(value as number) <= LAST_INSTANT;
}
