import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn } from './columns.js';

/** A revocation that workers still have to know. */
@Entity({ name: 'taskqueue_revoked', synchronize: false })
export class RevokedTask {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ type: 'varchar', length: 255, name: 'task_id' })
  taskId: string;

  /** Also stop it where it runs. */
  @Column({ type: 'boolean', name: 'terminate', default: false })
  terminate: boolean;

  /** Forgotten after this, epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'expires_at' })
  expiresAt: number;
}
