import { QueryFailedError } from 'typeorm';

/** True for the violation of a unique index, on PostgreSQL and SQLite. */
export function isDuplicate(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code } = error.driverError as { code?: unknown };
  return code === '23505' || error.message.includes('UNIQUE constraint failed');
}
