import type { Duration, ResultRecord } from '@taskqueue/core';
import { isTerminal } from '@taskqueue/core';
import type { TaskQueueRuntime } from '../../task-queue.runtime.js';
import { EXIT } from '../exit-codes.js';
import type { ExitCode } from '../exit-codes.js';
import { facts, instant, jsonText, span } from '../output.js';
import type { QueueWork } from '../queue-command.js';

/** Says how a task stands, and gives the code that follows from it: 0 SUCCESS, 1 any other end, 3 none yet. */
export async function showTask({ runtime, output, options }: QueueWork, id: string): Promise<ExitCode> {
  const handle = runtime.client.handle(id);
  const record = await handle.record();
  const state = record?.state ?? 'PENDING';
  const result = state === 'SUCCESS' ? ((await handle.result()) ?? null) : undefined;
  const progress = isTerminal(state) ? undefined : await handle.progress();
  const { failure } = record ?? {};
  const shown = {
    id,
    state,
    ...told(record),
    progress,
    result,
    failure: failure && { type: failure.type, message: failure.message, stack: failure.stack },
  };
  output.show(shown, () =>
    facts({
      ...shown,
      result: result === undefined ? undefined : jsonText(result),
      failure: failure && `${failure.type}: ${failure.message}`,
      stack: options['traceback'] === true ? failure?.stack : undefined,
    }),
  );
  if (!isTerminal(state)) return EXIT.pending;
  return state === 'SUCCESS' ? EXIT.done : EXIT.failed;
}

/** Resolves at its end, however it ends. Rejects with RESULT_TIMEOUT. */
export async function waitFor(runtime: TaskQueueRuntime, id: string, wait: unknown): Promise<void> {
  const timeout = typeof wait === 'string' ? { timeout: wait as Duration } : {};
  try {
    await runtime.client.handle(id).get(timeout);
  } catch (error) {
    // How it failed is shown from its record.
    const record = await runtime.client.handle(id).record();
    if (record === undefined || !isTerminal(record.state)) throw error;
  }
}

function told(record: ResultRecord | undefined) {
  if (record === undefined) return {};
  const { name, attempts, queue, worker, startedAt, doneAt } = record;
  const took = startedAt === undefined || doneAt === undefined ? undefined : span(doneAt - startedAt);
  return { task: name, attempts, queue, worker, started: instant(startedAt), ended: instant(doneAt), took };
}
