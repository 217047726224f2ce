import type { ScheduleEntry } from './schedule-entry.js';

/** Fields that an operator may change while code goes on declaring the entry. */
const MERGED_FIELDS = [
  'task',
  'schedule',
  'args',
  'kwargs',
  'queue',
  'priority',
  'headers',
  'expiresMs',
  'expiresAt',
  'oneOff',
  'startTime',
  'enabled',
  'description',
  'misfire',
  'misfireLimit',
  'misfireGraceMs',
  'jitterMs',
  'overlap',
] as const satisfies readonly (keyof ScheduleEntry)[];

/**
 * Three-way merge, field by field: what code declares now, unless the stored value differs from what code declared
 * last, that is, unless an operator has edited it.
 */
export function mergeDeclared(versions: {
  readonly stored: ScheduleEntry;
  readonly lastDeclared: ScheduleEntry | undefined;
  readonly declared: ScheduleEntry;
}): ScheduleEntry {
  const merged: Record<string, unknown> = { name: versions.stored.name };
  for (const field of MERGED_FIELDS) {
    const edited = versions.lastDeclared !== undefined && !same(versions.stored[field], versions.lastDeclared[field]);
    merged[field] = edited ? versions.stored[field] : versions.declared[field];
  }
  return merged as unknown as ScheduleEntry;
}

/** Has an operator edited any field since code declared the entry last? */
export function isEdited(stored: ScheduleEntry, lastDeclared: ScheduleEntry): boolean {
  return MERGED_FIELDS.some((field) => !same(stored[field], lastDeclared[field]));
}

function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** JSON with sorted keys and without undefined, so that a round trip through a store changes nothing. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
