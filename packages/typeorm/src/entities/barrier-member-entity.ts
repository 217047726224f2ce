import { Entity, PrimaryColumn } from 'typeorm';

/** A member that has arrived at a barrier. For reading: the barrier store alone may write. */
@Entity({ name: 'taskqueue_barrier_member', synchronize: false })
export class BarrierMemberEntity {
  @PrimaryColumn({ type: 'varchar', length: 255, name: 'barrier_id' })
  barrierId: string;

  @PrimaryColumn({ type: 'varchar', length: 255, name: 'member_id' })
  memberId: string;
}
