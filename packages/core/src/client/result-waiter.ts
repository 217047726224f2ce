import type { Clock } from '../ambient/clock.js';
import { ResultError } from '../errors/errors.js';
import type { ResultBackend, ResultRecord } from '../ports/result-backend.js';
import { isTerminal } from '../task/task-state.js';

export interface WaitOptions {
  /** Milliseconds; undefined waits for ever. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** Aborts when the application closes: then nobody is left who would wake the wait, or who waits for its answer. */
  readonly closed: AbortSignal | undefined;
}

const FIRST_POLL_MS = 10;
const LAST_POLL_MS = 500;

/**
 * Waits for the end of a task: watches where the backend can, and polls with a growing pause in any case, because a
 * watch is lossy. Rejects with RESULT_TIMEOUT, with the signal's reason, or with RESULT_UNAVAILABLE when the application
 * closes first.
 */
export async function waitForEnd(
  backend: ResultBackend,
  clock: Clock,
  taskId: string,
  options: WaitOptions,
): Promise<ResultRecord> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  options.signal?.throwIfAborted();
  const onClosed = (): void => stop.abort(closedError(taskId));
  options.closed?.addEventListener('abort', onClosed, { once: true });
  if (options.closed?.aborted === true) onClosed();
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : clock.timer(options.timeoutMs, () => stop.abort(timeoutError(taskId, options.timeoutMs as number)));
  const hints = watchForHints(backend, taskId, stop.signal);
  try {
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(LAST_POLL_MS, pollMs * 1.5)) {
      const [record] = await backend.get([taskId]);
      if (record !== undefined && isTerminal(record.state)) return record;
      stop.signal.throwIfAborted();
      const pause = new AbortController();
      const sleep = clock.sleep(pollMs, AbortSignal.any([stop.signal, pause.signal]));
      await Promise.race([sleep, hints.next()]).finally(() => pause.abort());
      sleep.catch(() => undefined);
      stop.signal.throwIfAborted();
    }
  } finally {
    timer?.cancel();
    options.signal?.removeEventListener('abort', onAbort);
    options.closed?.removeEventListener('abort', onClosed);
    stop.abort();
  }
}

/** A promise that resolves at the next change, again and again; never where the backend cannot watch. */
function watchForHints(backend: ResultBackend, taskId: string, signal: AbortSignal): { next(): Promise<void> } {
  let wake: (() => void) | undefined;
  const listen = async (): Promise<void> => {
    for await (const _record of backend.watch?.([taskId], signal) ?? []) wake?.();
  };
  listen().catch(() => undefined);
  return { next: () => new Promise((resolve) => (wake = resolve)) };
}

function timeoutError(taskId: string, timeoutMs: number): ResultError {
  return new ResultError({
    code: 'RESULT_TIMEOUT',
    message: `Task ${taskId} did not end within ${timeoutMs} ms.`,
    remedy: 'It may still do so: wait again, longer, or look at its state.',
    retryable: true,
    fields: { taskId, timeoutMs },
  });
}

function closedError(taskId: string): ResultError {
  return new ResultError({
    code: 'RESULT_UNAVAILABLE',
    message: `The application was closed while it waited for task ${taskId}.`,
    remedy: 'The task goes on without it: read its result by its id where the application runs again.',
    retryable: false,
    fields: { taskId },
  });
}
