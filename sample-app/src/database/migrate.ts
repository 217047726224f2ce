import { ensureSchema } from '@taskqueue/typeorm';
import { DataSource, MigrationExecutor } from 'typeorm';
import type { DataSourceOptions } from 'typeorm';

/** Key of the advisory lock under which the storefront's tables are made. */
const LOCK = 1_207_959_552;

/** Opens the database with all its tables. API, worker and beat may do so at once, on an empty one too. */
export async function openMigrated(options: DataSourceOptions): Promise<DataSource> {
  const dataSource = await new DataSource(options).initialize();
  try {
    await ensureSchema(dataSource);
    await migrateAlone(dataSource);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

/** TypeORM itself looks for pending migrations before it begins a transaction; here the look is inside, one at a time. */
async function migrateAlone(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    await runner.startTransaction();
    if (dataSource.options.type === 'postgres') await runner.query(`select pg_advisory_xact_lock(${LOCK})`);
    const executor = new MigrationExecutor(dataSource, runner);
    executor.transaction = 'none';
    await executor.executePendingMigrations();
    await runner.commitTransaction();
  } catch (error) {
    if (runner.isTransactionActive) await runner.rollbackTransaction();
    throw error;
  } finally {
    await runner.release();
  }
}
