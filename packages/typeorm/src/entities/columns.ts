import type { ColumnOptions } from 'typeorm';

/** Epoch milliseconds, or another whole number that may be large: PostgreSQL's driver gives bigint as text. */
export const bigintColumn: ColumnOptions = {
  type: 'bigint',
  transformer: {
    to: (value: unknown) => value,
    from: (value: unknown) => (value === null || value === undefined ? value : Number(value)),
  },
};

export const nullableBigint: ColumnOptions = { ...bigintColumn, nullable: true };
export const nullableText: ColumnOptions = { type: 'text', nullable: true };
export const nullableName: ColumnOptions = { type: 'varchar', length: 255, nullable: true };
