import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintColumn } from './columns.js';

/** One row that triggers of the database change with every edit of a schedule. */
@Entity({ name: 'taskqueue_schedule_change', synchronize: false })
export class ScheduleChange {
  /** Always 1. */
  @PrimaryColumn({ type: 'smallint' })
  ident: number;

  @Column({ ...bigintColumn, name: 'version' })
  version: number;

  /** Epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'last_update' })
  lastUpdate: number;
}
