import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn, nullableBigint, nullableText } from './columns.js';

/** A message that waits, runs or is dead. For reading: the broker alone may write. */
@Entity({ name: 'taskqueue_message', synchronize: false })
export class TaskMessageEntity {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ type: 'varchar', length: 255, name: 'task_id' })
  taskId: string;

  @Column({ type: 'varchar', length: 255, name: 'task' })
  task: string;

  @Column({ type: 'varchar', length: 255, name: 'queue' })
  queue: string;

  /** 9 − priority. */
  @Column({ type: 'smallint', name: 'urgency' })
  urgency: number;

  /** 0 ready, 1 ready and lost by a runner before, 2 delayed, 3 dead. */
  @Column({ type: 'smallint', name: 'state' })
  state: number;

  /** Row of the consumer that has leased it; 0: none. */
  @Column({ ...bigintColumn, name: 'consumer' })
  consumer: number;

  /** Deliveries so far. */
  @Column({ type: 'integer', name: 'run' })
  run: number;

  /** How often its runner was lost. */
  @Column({ type: 'integer', name: 'lost_leases' })
  lostLeases: number;

  /** Epoch milliseconds. */
  @Column({ ...nullableBigint, name: 'due_at' })
  dueAt: number | null;

  /** Epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'enqueued_at' })
  enqueuedAt: number;

  /** Epoch milliseconds. */
  @Column({ ...nullableBigint, name: 'died_at' })
  diedAt: number | null;

  /** Why it is dead. */
  @Column({ ...nullableText, name: 'reason' })
  reason: string | null;

  /** JSON: headers, properties, content type and encoding; `bodyEncoding` when the body is base64. */
  @Column({ type: 'text', name: 'envelope' })
  envelope: string;

  @Column({ type: 'text', name: 'body' })
  body: string;
}
