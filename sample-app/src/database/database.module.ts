import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { sqliteDriver, TASK_QUEUE_ENTITIES } from '@taskqueue/typeorm';
import type { DataSourceOptions } from 'typeorm';
import { DeliveryLog } from '../mail/delivery-log.entity.js';
import { Customer } from '../orders/customer.entity.js';
import { Order } from '../orders/order.entity.js';
import { settings } from '../settings.js';
import { CreateStorefront1700000000000 } from './create-storefront.migration.js';
import { openMigrated } from './migrate.js';

/** The storefront's tables and the task queue's live in one database, so that they can share transactions. */
export function databaseOptions(): DataSourceOptions {
  const common = {
    entities: [Customer, Order, DeliveryLog, ...TASK_QUEUE_ENTITIES],
    migrations: [CreateStorefront1700000000000],
  };
  if (settings.databaseUrl !== undefined) return { type: 'postgres', url: settings.databaseUrl, ...common };
  mkdirSync(settings.dataDir, { recursive: true });
  return {
    type: 'better-sqlite3',
    database: join(settings.dataDir, 'storefront.sqlite'),
    driver: sqliteDriver(),
    enableWAL: true,
    timeout: 10_000,
    ...common,
  };
}

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      useFactory: databaseOptions,
      dataSourceFactory: (options) => openMigrated(options ?? databaseOptions()),
    }),
  ],
})
export class DatabaseModule {}
