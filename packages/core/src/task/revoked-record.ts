import type { ResultRecord } from '../ports/result-backend.js';

/** Why a task ended REVOKED; the words are Celery's. */
export type RevokedReason = 'revoked' | 'expired' | 'terminated';

/** The record of a task that was revoked or expired, shaped as Python readers expect it. */
export function revokedRecord(init: {
  readonly taskId: string;
  readonly name: string;
  readonly queue?: string;
  readonly run: number;
  readonly doneAt: number;
  readonly reason?: RevokedReason;
  readonly attempts?: number;
}): ResultRecord {
  return {
    taskId: init.taskId,
    state: 'REVOKED',
    name: init.name,
    ...(init.queue === undefined ? {} : { queue: init.queue }),
    run: init.run,
    attempts: init.attempts ?? 0,
    failure: { type: 'TaskRevokedError', module: 'celery.exceptions', message: init.reason ?? 'revoked' },
    doneAt: init.doneAt,
  };
}
