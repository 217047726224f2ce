import type { DataSource } from 'typeorm';
import { TASK_QUEUE_ENTITIES } from './index.js';

/**
 * Lets our entities mean the tables that our migrations make. The statements of the broker name these as they are, whoever's
 * data source they lie in, while TypeORM would put an application's `entityPrefix` or naming strategy on the entities too:
 * they would look for tables that nobody makes. Idempotent; for a data source that is initialized.
 */
export function keepOwnTableNames(dataSource: DataSource): void {
  for (const entity of TASK_QUEUE_ENTITIES) {
    if (!dataSource.hasMetadata(entity)) continue;
    const metadata = dataSource.getMetadata(entity);
    const { schema, database } = metadata;
    metadata.tableName = metadata.tableMetadataArgs.name ?? metadata.tableName;
    metadata.tablePath = dataSource.driver.buildTableName(metadata.tableName, schema, database);
  }
}
