import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn } from './columns.js';

/** A worker that holds leases. For reading: the broker alone may write. */
@Entity({ name: 'taskqueue_consumer', synchronize: false })
export class ConsumerEntity {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ type: 'varchar', length: 255, name: 'name' })
  name: string;

  /** By the database's clock, epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'lease_until' })
  leaseUntil: number;

  @Column({ type: 'boolean', name: 'idle', default: false })
  idle: boolean;
}
