import { occurrenceTaskId } from '../ambient/ids.js';
import type { TaskCall } from '../client/task-call.js';
import { showValue, UsageError } from '../errors/errors.js';
import type { StoredEntry } from '../ports/schedule-store.js';

/**
 * The call that an occurrence of an entry is; its id says which one. Throws SCHEDULE_INVALID for an entry of which no call
 * can be made, as an edit of the row by hand may leave it.
 */
export function occurrenceCall(
  entry: StoredEntry,
  { dueAt, now, random }: { readonly dueAt: number; readonly now: number; readonly random: () => number },
): TaskCall {
  checkShape(entry);
  const jitterMs = entry.jitterMs > 0 ? Math.floor(random() * entry.jitterMs) : 0;
  const expires = Math.min(
    entry.expiresMs === undefined ? Infinity : Math.max(dueAt, now) + entry.expiresMs,
    entry.expiresAt ?? Infinity,
  );
  return {
    task: entry.task,
    args: entry.args,
    kwargs: entry.kwargs,
    taskId: occurrenceTaskId(entry.name, dueAt),
    queue: entry.queue,
    priority: entry.priority,
    countdownMs: jitterMs > 0 ? jitterMs : undefined,
    expires: Number.isFinite(expires) ? expires : undefined,
    headers: { ...entry.headers, periodic_task_name: entry.name },
  };
}

function checkShape(entry: StoredEntry): void {
  const { args, kwargs, headers = {} } = entry;
  if (!Array.isArray(args)) throw misshapen('args', args, 'a list, written as JSON');
  for (const [field, value] of Object.entries({ kwargs, headers })) {
    if (!isRecord(value)) throw misshapen(field, value, 'an object, written as JSON');
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function misshapen(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'SCHEDULE_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    remedy: 'Correct the entry where it is stored.',
    fields: { field, value, expected },
  });
}
