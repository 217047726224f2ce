import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintColumn, nullableName } from './columns.js';

/** A group whose members are counted. For reading: the barrier store alone may write. */
@Entity({ name: 'taskqueue_barrier', synchronize: false })
export class BarrierEntity {
  @PrimaryColumn({ type: 'varchar', length: 255, name: 'id' })
  id: string;

  /** Number of members. */
  @Column({ type: 'integer', name: 'size' })
  size: number;

  /** How many of them have arrived. */
  @Column({ type: 'integer', name: 'arrived', default: 0 })
  arrived: number;

  /** The member that came last. */
  @Column({ ...nullableName, name: 'completed_by' })
  completedBy: string | null;

  /** What the last member gets, in base64. */
  @Column({ type: 'text', name: 'body' })
  body: string;

  /** Kept for so long after each arrival, milliseconds. */
  @Column({ ...bigintColumn, name: 'ttl_ms' })
  ttlMs: number;

  /** By the database's clock, epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'expires_at' })
  expiresAt: number;
}
