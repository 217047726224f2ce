import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn } from './columns.js';
import type { IntervalPeriod } from '../sql/schedule-row.js';

/** Every so often. */
@Entity({ name: 'taskqueue_interval_schedule', synchronize: false })
export class IntervalSchedule {
  @PrimaryGeneratedColumn()
  id: number;

  /** How many periods; at least 1. */
  @Column({ ...bigintColumn, name: 'every' })
  every: number;

  @Column({ type: 'varchar', length: 24, name: 'period', default: 'seconds' })
  period: IntervalPeriod;

  /** Start of the grid, epoch milliseconds; 0: the Unix epoch. */
  @Column({ ...bigintColumn, name: 'anchor', default: 0 })
  anchor: number;
}
