import { TaskError } from '../errors/errors.js';
import type { Outcome } from '../task/task-outcome.js';
import type { Run } from './run.js';

/** Why the worker stops a run from outside. */
export type InterruptReason = 'shutdown' | 'lease-lost' | 'revoked';

/** What was acknowledged before the run cannot go back to its queue: it ends here. */
export function afterEarlyAck(outcome: Outcome, run: Run): Outcome {
  if (outcome.kind === 'interrupted') return { kind: 'failed', error: run.signal.reason };
  if (outcome.kind === 'rejected') return { ...outcome, requeue: false };
  if (outcome.kind === 'worker-lost') return { kind: 'failed', error: childLostError(run, outcome.reason) };
  return outcome;
}

function childLostError(run: Run, reason: string): TaskError {
  const { id, task } = run.message;
  return new TaskError(
    { code: 'WORKER_LOST', message: `${task}[${id}] lost the child that ran it: ${reason}.` },
    id,
    undefined,
  );
}

/** The reason of the run's signal. */
export function interruptError(run: Run, reason: InterruptReason): TaskError {
  const { id, task } = run.message;
  const messages = {
    shutdown: { code: 'WORKER_LOST', message: `The worker shuts down; ${task}[${id}] goes back to its queue.` },
    'lease-lost': { code: 'LEASE_LOST', message: `The lease of ${task}[${id}] was lost; someone else runs it now.` },
    revoked: { code: 'TASK_REVOKED', message: `${task}[${id}] was revoked while it ran.` },
  } as const;
  return new TaskError(messages[reason], id, undefined);
}
