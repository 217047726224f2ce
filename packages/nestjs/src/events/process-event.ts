import type { BeatEvent, PublishEvent, WorkerEvent } from '@taskqueue/core';

/** What happens in this process: to the tasks that it sends and runs, to its workers and its beat. */
export type ProcessEvent = WorkerEvent | PublishEvent | BeatEvent;

/** Events that are told in the process. */
export type ProcessEventType = ProcessEvent['type'];

/** The events of some types. */
export type ProcessEventOf<T extends ProcessEventType> = T extends ProcessEventType
  ? Extract<ProcessEvent, { readonly type: T }>
  : never;

/** Every type once: the compiler sees to it. */
const TYPES: { readonly [T in ProcessEventType]: true } = {
  'task-publishing': true,
  'task-sent': true,
  'task-received': true,
  'task-started': true,
  'task-succeeded': true,
  'task-failed': true,
  'task-retried': true,
  'task-snoozed': true,
  'task-ignored': true,
  'task-rejected': true,
  'task-revoked': true,
  'task-stuck': true,
  'task-interrupted': true,
  'task-lost': true,
  'task-crashed': true,
  'task-ended': true,
  'worker-starting': true,
  'worker-online': true,
  'worker-heartbeat': true,
  'worker-stopping': true,
  'worker-offline': true,
  'worker-failed': true,
  'beat-starting': true,
  'beat-online': true,
  'beat-offline': true,
};

export const PROCESS_EVENT_TYPES = Object.keys(TYPES) as readonly ProcessEventType[];
