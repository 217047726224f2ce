import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

@Entity('shop_order')
export class Order {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ name: 'customer_id', type: 'integer' })
  customerId: number;

  @Column({ type: 'varchar', length: 200 })
  product: string;

  @Column({ type: 'integer' })
  quantity: number;

  @Column({ type: 'integer' })
  cents: number;

  /** ISO date. */
  @Index()
  @Column({ type: 'varchar', length: 10 })
  day: string;
}
