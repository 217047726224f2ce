import { showValue, UsageError } from '../errors/errors.js';

/** The most items of one page of a list. */
const MOST_ITEMS = 1_000;

/** Throws a UsageError that names `limit` unless a page can have that many items: 1 to 1000. */
export function checkListLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MOST_ITEMS) return;
  throw new UsageError({
    code: 'STATE_INVALID',
    message: `limit must be a whole number from 1 to ${MOST_ITEMS}, got ${showValue(limit)}.`,
    fields: { field: 'limit', value: limit },
  });
}

/** What a list says to a cursor that none of its pages gave. */
export function unknownCursor(cursor: string): UsageError {
  return new UsageError({
    code: 'STATE_INVALID',
    message: `cursor must be what a page of this list gave, got ${showValue(cursor)}.`,
    remedy: 'Leave it out to begin at the newest.',
    fields: { field: 'cursor', value: cursor },
  });
}
