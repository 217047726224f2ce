import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn, nullableBigint, nullableName, nullableText } from './columns.js';
import type { Relation } from 'typeorm';
import type { MisfirePolicy, OverlapPolicy } from '@taskqueue/core';
import { ClockedSchedule } from './clocked-schedule.js';
import { CrontabSchedule } from './crontab-schedule.js';
import { IntervalSchedule } from './interval-schedule.js';
import { SolarSchedule } from './solar-schedule.js';

/** A task that is sent on a schedule; it has exactly one of the four kinds. Beat notices any edit within a second. */
@Entity({ name: 'taskqueue_periodic_task', synchronize: false })
export class PeriodicTask {
  @PrimaryGeneratedColumn()
  id: number;

  /** Unique. */
  @Column({ type: 'varchar', length: 200, unique: true })
  name: string;

  /** Name of the task. */
  @Column({ type: 'varchar', length: 200, name: 'task' })
  task: string;

  @ManyToOne(() => IntervalSchedule, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'interval_id' })
  interval: Relation<IntervalSchedule> | null;

  @ManyToOne(() => CrontabSchedule, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'crontab_id' })
  crontab: Relation<CrontabSchedule> | null;

  @ManyToOne(() => ClockedSchedule, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'clocked_id' })
  clocked: Relation<ClockedSchedule> | null;

  @ManyToOne(() => SolarSchedule, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'solar_id' })
  solar: Relation<SolarSchedule> | null;

  /** JSON array. */
  @Column({ type: 'text', default: '[]' })
  args: string;

  /** JSON object. */
  @Column({ type: 'text', default: '{}' })
  kwargs: string;

  /** Null: the task's own queue. */
  @Column({ ...nullableName, name: 'queue' })
  queue: string | null;

  /** Kept for Celery; not used by SQL brokers. */
  @Column({ ...nullableName, name: 'exchange' })
  exchange: string | null;

  /** Kept for Celery; not used by SQL brokers. */
  @Column({ ...nullableName, name: 'routing_key' })
  routingKey: string | null;

  /** JSON object. */
  @Column({ ...nullableText, name: 'headers' })
  headers: string | null;

  /** 0 to 9, higher is more urgent. */
  @Column({ type: 'smallint', name: 'priority', nullable: true })
  priority: number | null;

  /** No task is sent after this instant, epoch milliseconds. */
  @Column({ ...nullableBigint, name: 'expires' })
  expires: number | null;

  /** A task expires this long after it was due. Not together with `expires`. */
  @Column({ type: 'double precision', name: 'expire_seconds', nullable: true })
  expireSeconds: number | null;

  /** Switch off after the first run. */
  @Column({ type: 'boolean', name: 'one_off', default: false })
  oneOff: boolean;

  /** No run before this instant, epoch milliseconds. */
  @Column({ ...nullableBigint, name: 'start_time' })
  startTime: number | null;

  @Column({ type: 'boolean', name: 'enabled', default: true })
  enabled: boolean;

  /** Epoch milliseconds. */
  @Column({ ...nullableBigint, name: 'last_run_at' })
  lastRunAt: number | null;

  @Column({ type: 'integer', name: 'total_run_count', default: 0 })
  totalRunCount: number;

  /** Epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'date_changed', default: 0 })
  dateChanged: number;

  @Column({ type: 'text', default: '' })
  description: string;

  /** What to do about occurrences that nobody was there to fire. */
  @Column({ type: 'varchar', length: 8, name: 'misfire', default: 'one' })
  misfire: MisfirePolicy;

  @Column({ type: 'integer', name: 'misfire_limit', default: 100 })
  misfireLimit: number;

  @Column({ ...bigintColumn, name: 'misfire_grace_ms', default: 60_000 })
  misfireGraceMs: number;

  @Column({ ...bigintColumn, name: 'jitter_ms', default: 0 })
  jitterMs: number;

  @Column({ type: 'varchar', length: 8, name: 'overlap', default: 'allow' })
  overlap: OverlapPolicy;

  /** Kept by beat, epoch milliseconds. */
  @Column({ ...nullableBigint, name: 'next_due_at' })
  nextDueAt: number | null;

  /** Kept by beat: the schedule that `nextDueAt` was computed from. */
  @Column({ ...nullableName, name: 'due_fingerprint' })
  dueFingerprint: string | null;

  /** Kept by beat. */
  @Column({ ...nullableName, name: 'last_task_id' })
  lastTaskId: string | null;

  /** JSON of the entry as code declared it last; null for what operators made. */
  @Column({ ...nullableText, name: 'declared' })
  declared: string | null;
}
