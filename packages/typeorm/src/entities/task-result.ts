import { Column, Entity, PrimaryColumn } from 'typeorm';
import { nullableBigint, nullableName, nullableText } from './columns.js';
import type { TaskState } from '@taskqueue/core';

/** What is known of a task that has started or ended. */
@Entity({ name: 'taskqueue_result', synchronize: false })
export class TaskResult {
  /** The task. */
  @PrimaryColumn({ type: 'varchar', length: 255, name: 'task_id' })
  taskId: string;

  @Column({ type: 'varchar', length: 255, name: 'task_name' })
  taskName: string;

  @Column({ type: 'varchar', length: 50, name: 'status', default: 'PENDING' })
  status: TaskState;

  /** Order of the states within a run; 5: final. */
  @Column({ type: 'smallint', name: 'state_rank' })
  stateRank: number;

  /** Delivery that wrote it. */
  @Column({ type: 'integer', name: 'run' })
  run: number;

  @Column({ type: 'integer', name: 'attempts' })
  attempts: number;

  @Column({ ...nullableName, name: 'content_type' })
  contentType: string | null;

  @Column({ ...nullableName, name: 'content_encoding' })
  contentEncoding: string | null;

  /** The encoded return value. */
  @Column({ ...nullableText, name: 'result' })
  result: string | null;

  /** Stack of the failure. */
  @Column({ ...nullableText, name: 'traceback' })
  traceback: string | null;

  /** JSON of the failure, without its stack. */
  @Column({ ...nullableText, name: 'failure' })
  failure: string | null;

  /** JSON of the last reported progress. */
  @Column({ ...nullableText, name: 'progress' })
  progress: string | null;

  /** JSON; `children`: ids of the tasks it sent. */
  @Column({ ...nullableText, name: 'meta' })
  meta: string | null;

  @Column({ ...nullableName, name: 'queue' })
  queue: string | null;

  @Column({ ...nullableName, name: 'worker' })
  worker: string | null;

  /** Representation of the arguments. */
  @Column({ ...nullableText, name: 'task_args' })
  taskArgs: string | null;

  @Column({ ...nullableText, name: 'task_kwargs' })
  taskKwargs: string | null;

  @Column({ ...nullableName, name: 'parent_id' })
  parentId: string | null;

  @Column({ ...nullableName, name: 'root_id' })
  rootId: string | null;

  @Column({ ...nullableName, name: 'group_id' })
  groupId: string | null;

  @Column({ ...nullableName, name: 'periodic_task_name' })
  periodicTaskName: string | null;

  /** Epoch milliseconds, as all dates here. */
  @Column({ ...nullableBigint, name: 'date_created' })
  dateCreated: number | null;

  @Column({ ...nullableBigint, name: 'date_started' })
  dateStarted: number | null;

  @Column({ ...nullableBigint, name: 'date_done' })
  dateDone: number | null;

  /** The record is removed after this. */
  @Column({ ...nullableBigint, name: 'expires_at' })
  expiresAt: number | null;
}
