import { occurrenceTaskId } from '../ambient/ids.js';
import type { TaskCall } from '../client/task-call.js';
import type { StoredEntry } from '../ports/schedule-store.js';

/** The call that an occurrence of an entry is; its id says which one. */
export function occurrenceCall(
  entry: StoredEntry,
  { dueAt, now, random }: { readonly dueAt: number; readonly now: number; readonly random: () => number },
): TaskCall {
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
