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

/** Where an item stands in a list that is ordered by a whole number, such as a time, and an id. */
export type ListPlace = readonly [number, string];

/** Orders places as lists do: by instant, then by id. */
export function comparePlaces(a: ListPlace, b: ListPlace): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0);
}

/** The cursor of a page that ends there. */
export function placeCursor([number, id]: ListPlace): string {
  return `${number} ${id}`;
}

/** Throws UsageError for a cursor that `placeCursor` never gave. */
export function parsePlace(cursor: string | undefined): ListPlace | undefined {
  if (cursor === undefined) return undefined;
  const match = /^(\d{1,16}) (.+)$/s.exec(cursor);
  if (match === null) throw unknownCursor(cursor);
  return [Number(match[1]), match[2] as string];
}
