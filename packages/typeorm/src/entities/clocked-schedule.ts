import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn } from './columns.js';

/** Once. */
@Entity({ name: 'taskqueue_clocked_schedule', synchronize: false })
export class ClockedSchedule {
  @PrimaryGeneratedColumn()
  id: number;

  /** Epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'clocked_time' })
  clockedTime: number;
}
