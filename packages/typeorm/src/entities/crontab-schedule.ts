import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** At times of the calendar, in Celery's crontab syntax. */
@Entity({ name: 'taskqueue_crontab_schedule', synchronize: false })
export class CrontabSchedule {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ type: 'varchar', length: 240, name: 'minute', default: '*' })
  minute: string;

  @Column({ type: 'varchar', length: 96, name: 'hour', default: '*' })
  hour: string;

  @Column({ type: 'varchar', length: 124, name: 'day_of_month', default: '*' })
  dayOfMonth: string;

  @Column({ type: 'varchar', length: 64, name: 'month_of_year', default: '*' })
  monthOfYear: string;

  @Column({ type: 'varchar', length: 64, name: 'day_of_week', default: '*' })
  dayOfWeek: string;

  @Column({ type: 'varchar', length: 64, name: 'timezone', default: 'UTC' })
  timezone: string;

  /** What to do about a time that clocks going forward leave out. */
  @Column({ type: 'varchar', length: 8, name: 'gap', default: 'run' })
  gap: 'run' | 'skip';

  /** How day of month and day of week combine. */
  @Column({ type: 'varchar', length: 8, name: 'day_rule', default: 'and' })
  dayRule: 'and' | 'or';
}
