import type { ResultRecord } from '../ports/result-backend.js';
import type { TaskState } from '../task/task-state.js';
import type { Run } from './run.js';

/** What every store can keep of a name, characters. */
const LONGEST_NAME = 255;

export type RecordInMaking = { -readonly [Field in keyof ResultRecord]: ResultRecord[Field] };

/**
 * A record of a run with what every record of one has. Member by member, as one is made for every task whose result is
 * kept, and copies of copies take their time.
 */
export function runRecord(run: Run, worker: string, state: TaskState, extra: Partial<ResultRecord>): ResultRecord {
  const { message, delivery } = run;
  const periodic = message.customHeaders['periodic_task_name'];
  const record: RecordInMaking = {
    taskId: message.id,
    state,
    name: message.task,
    run: delivery.run,
    attempts: run.attempt,
    queue: delivery.queue,
    worker,
    rootId: message.rootId,
  };
  if (run.argsRepr !== undefined) record.argsRepr = run.argsRepr;
  if (run.kwargsRepr !== undefined) record.kwargsRepr = run.kwargsRepr;
  if (message.parentId !== undefined) record.parentId = message.parentId;
  if (message.group !== undefined) record.groupId = message.group;
  if (message.replyTo !== '') record.replyTo = message.replyTo;
  // The header is the caller's to write.
  if (typeof periodic === 'string') record.periodicTaskName = periodic.slice(0, LONGEST_NAME);
  if (delivery.enqueuedAt !== undefined) record.createdAt = delivery.enqueuedAt;
  return Object.assign(record, extra);
}
