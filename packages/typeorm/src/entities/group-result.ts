import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintColumn, nullableBigint, nullableName, nullableText } from './columns.js';

/** A group whose result was saved, as django-celery-results keeps it. */
@Entity({ name: 'taskqueue_group_result', synchronize: false })
export class GroupResult {
  /** The group. */
  @PrimaryColumn({ type: 'varchar', length: 255, name: 'group_id' })
  groupId: string;

  /** Epoch milliseconds. */
  @Column({ ...bigintColumn, name: 'date_created' })
  dateCreated: number;

  @Column({ ...nullableBigint, name: 'date_done' })
  dateDone: number | null;

  @Column({ ...nullableName, name: 'content_type' })
  contentType: string | null;

  @Column({ ...nullableName, name: 'content_encoding' })
  contentEncoding: string | null;

  /** JSON: the group and the ids of its members. */
  @Column({ ...nullableText, name: 'result' })
  result: string | null;
}
