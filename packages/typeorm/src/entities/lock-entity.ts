import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { bigintColumn } from './columns.js';

/** A permit that somebody holds, or held until lately. For reading: the lock store alone may write. */
@Entity({ name: 'taskqueue_lock', synchronize: false })
export class LockEntity {
  /** The token that tells this grant from all before. */
  @PrimaryGeneratedColumn({ name: 'token' })
  token: number;

  @Column({ type: 'varchar', length: 255, name: 'lock_key' })
  key: string;

  @Column({ type: 'varchar', length: 255, name: 'owner' })
  owner: string;

  /** By the database's clock, epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'expires_at' })
  expiresAt: number;
}
