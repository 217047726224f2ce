import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A queue that was declared or paused. */
@Entity({ name: 'taskqueue_queue', synchronize: false })
export class QueueEntity {
  /** Its name. */
  @PrimaryColumn({ type: 'varchar', length: 255, name: 'name' })
  name: string;

  /** Accepts messages and hands none out. */
  @Column({ type: 'boolean', name: 'paused', default: false })
  paused: boolean;
}
