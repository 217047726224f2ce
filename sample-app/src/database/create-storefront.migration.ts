import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Table } from 'typeorm';

/** The storefront's own tables, on SQLite and PostgreSQL. */
export class CreateStorefront1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const id = {
      name: 'id',
      type: 'integer',
      isPrimary: true,
      isGenerated: true,
      generationStrategy: 'increment' as const,
    };
    await runner.createTable(
      new Table({
        name: 'customer',
        columns: [
          id,
          { name: 'name', type: 'varchar', length: '200' },
          { name: 'email', type: 'varchar', length: '200', isUnique: true },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'shop_order',
        columns: [
          id,
          { name: 'customer_id', type: 'integer' },
          { name: 'product', type: 'varchar', length: '200' },
          { name: 'quantity', type: 'integer' },
          { name: 'cents', type: 'integer' },
          { name: 'day', type: 'varchar', length: '10' },
        ],
        indices: [{ columnNames: ['day'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'delivery_log',
        columns: [
          id,
          { name: 'task_id', type: 'varchar', length: '255', isUnique: true },
          { name: 'recipient', type: 'varchar', length: '200' },
          { name: 'subject', type: 'varchar', length: '300' },
          { name: 'message_id', type: 'varchar', length: '300' },
          { name: 'sent_at', type: 'varchar', length: '30' },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['delivery_log', 'shop_order', 'customer']) await runner.dropTable(table);
  }
}
