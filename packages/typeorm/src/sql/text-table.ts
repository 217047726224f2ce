/**
 * Rows as one text parameter: PostgreSQL splits text several times faster than it reads JSON or an array literal. The
 * separators are control characters, which no stored text has (see {@link isStorable}).
 */
export const ROW_SEPARATOR = '\x1e';
export const FIELD_SEPARATOR = '\x1f';
export const NULL_FIELD = '\x15';

// oxlint-disable-next-line no-control-regex -- they are what it looks for
const UNSTORABLE = /[\0\x15\x1e\x1f\p{Surrogate}]/u;
/** Those, and both halves of a whole pair: much quicker to look for. */
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const PERHAPS_UNSTORABLE = /[\0\x15\x1e\x1f\ud800-\udfff]/;
const ALL_UNSTORABLE = new RegExp(UNSTORABLE.source, 'gu');

/** Can a text column hold it? Not NUL, not half of a surrogate pair, not one of our separators. */
export function isStorable(value: string): boolean {
  return !PERHAPS_UNSTORABLE.test(value) || !UNSTORABLE.test(value);
}

/** For names and representations: a replacement character instead of what cannot be stored. */
export function storable(value: string): string {
  return isStorable(value) ? value : value.replace(ALL_UNSTORABLE, '\ufffd');
}

type Field = string | number | null | undefined;

/** The values of `columns`, column by column, each closed by a null; null when there are no rows. */
export function textTable(rows: readonly object[], columns: readonly string[]): string | null {
  if (rows.length === 0) return null;
  const end = ROW_SEPARATOR + NULL_FIELD;
  return columns
    .map((column) => rows.map((row) => (row as Record<string, Field>)[column] ?? NULL_FIELD).join(ROW_SEPARATOR) + end)
    .join(FIELD_SEPARATOR);
}

/**
 * SQL that selects the rows of such a text again as `x`. The first column is never null but in the closing row, which
 * keeps a column of one empty text from looking like a column of nothing.
 */
export function fromTextTable(parameter: string, columns: readonly (readonly [name: string, type: string])[]): string {
  const arrays = columns.map(
    ([_name, type], index) => `string_to_array(c[${index + 1}], E'\\x1e', E'\\x15')::${type}[]`,
  );
  const names = columns.map(([name]) => name);
  return `(select x.* from string_to_array(${parameter}, E'\\x1f') as c,
      lateral unnest(${arrays.join(', ')}) as x(${names.join(', ')}) where x.${names[0]} is not null) as x`;
}
