/**
 * States of a task as a reader of results sees them, and the legal transitions, as one table.
 *
 * ```text
 *   PENDING ──► RECEIVED ──► STARTED ──► SUCCESS
 *      │            │           ├──────► FAILURE
 *      │            │           ├──────► RETRY ──► (RECEIVED | STARTED | terminal) of the next attempt
 *      │            │           └──────► PROGRESS ──► (PROGRESS | terminal | RETRY)
 *      └────────────┴──────────────────► REVOKED | REJECTED
 * ```
 *
 * The names are Celery's (celery/states.py), so Python readers understand them. `PROGRESS` is the custom state that
 * Celery's documentation uses for progress. `REJECTED` and `IGNORED` are terminal here: Celery leaves such a task
 * "unready" for ever, which makes every waiter hang.
 *
 * | state    | terminal | meaning                                                          |
 * |----------|----------|------------------------------------------------------------------|
 * | PENDING  | no       | accepted by the broker, or unknown to the store                   |
 * | RECEIVED | no       | leased by a worker                                                |
 * | STARTED  | no       | a handler runs                                                    |
 * | PROGRESS | no       | a handler runs and has reported progress                          |
 * | RETRY    | no       | an attempt failed or asked for another; the next one waits        |
 * | SUCCESS  | yes      | the handler returned                                              |
 * | FAILURE  | yes      | the last attempt failed, timed out, or the worker was lost too often |
 * | REVOKED  | yes      | revoked or expired before or while it ran                         |
 * | REJECTED | yes      | refused by the handler or by a guard or pipe; in the dead letters |
 * | IGNORED  | yes      | the handler asked that no result be kept                          |
 */
export type TaskState =
  | 'PENDING'
  | 'RECEIVED'
  | 'STARTED'
  | 'PROGRESS'
  | 'RETRY'
  | 'SUCCESS'
  | 'FAILURE'
  | 'REVOKED'
  | 'REJECTED'
  | 'IGNORED';

/** All states, by name. */
export const TASK_STATES: readonly TaskState[] = [
  'PENDING',
  'RECEIVED',
  'STARTED',
  'PROGRESS',
  'RETRY',
  'SUCCESS',
  'FAILURE',
  'REVOKED',
  'REJECTED',
  'IGNORED',
];

const TERMINAL: ReadonlySet<string> = new Set(['SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED', 'IGNORED']);

/** Order within one attempt: a record never gives way to one of a lower rank of the same attempt. */
const RANK: Readonly<Record<TaskState, number>> = {
  PENDING: 0,
  RECEIVED: 1,
  STARTED: 2,
  PROGRESS: 3,
  RETRY: 4,
  SUCCESS: 5,
  FAILURE: 5,
  REVOKED: 5,
  REJECTED: 5,
  IGNORED: 5,
};

/** True when the task has ended and its record will not change any more. */
export function isTerminal(state: string): boolean {
  return TERMINAL.has(state);
}

/** Rank of a state within one attempt; drivers store it to compare in the store. */
export function stateRank(state: TaskState): number {
  return RANK[state];
}

/** What decides which of two records of one task is the later one. */
export interface StateStamp {
  readonly state: TaskState;
  /** Run counter of the message, growing with every delivery; see `ResultRecord.run`. */
  readonly run: number;
}

/**
 * May `next` replace `current`? Terminal records never change; a later run replaces an earlier one; within a run the
 * rank must not fall (PROGRESS may follow PROGRESS).
 */
export function mayReplace(current: StateStamp, next: StateStamp): boolean {
  if (isTerminal(current.state)) return false;
  if (next.run !== current.run) return next.run > current.run;
  return stateRank(next.state) >= stateRank(current.state);
}
