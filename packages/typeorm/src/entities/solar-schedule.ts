import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { SolarEvent } from '@taskqueue/core';

/** At an event of the sun at a place. */
@Entity({ name: 'taskqueue_solar_schedule', synchronize: false })
export class SolarSchedule {
  @PrimaryGeneratedColumn()
  id: number;

  @Column({ type: 'varchar', length: 24, name: 'event', default: 'sunrise' })
  event: SolarEvent;

  @Column({ type: 'double precision', name: 'latitude' })
  latitude: number;

  @Column({ type: 'double precision', name: 'longitude' })
  longitude: number;
}
