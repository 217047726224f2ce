import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** One row for each mail that went out. `taskId` is unique: a task that runs again after a crash sends no second mail. */
@Entity('delivery_log')
export class DeliveryLog {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ name: 'task_id', type: 'varchar', length: 255, unique: true })
  taskId: string;

  @Column({ type: 'varchar', length: 200 })
  recipient: string;

  @Column({ type: 'varchar', length: 300 })
  subject: string;

  @Column({ name: 'message_id', type: 'varchar', length: 300 })
  messageId: string;

  @Column({ name: 'sent_at', type: 'varchar', length: 30 })
  sentAt: string;
}
