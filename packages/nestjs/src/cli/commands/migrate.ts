import type { Command } from 'commander';
import type { DriverMigrations } from '@taskqueue/core';
import { UsageError } from '@taskqueue/core';
import { EXIT } from '../exit-codes.js';
import { table } from '../output.js';
import { queueCommand } from '../queue-command.js';

/** `taskqueue migrate`: the tables of the task queue, for databases that the application's own user may not change. */
export function addMigrate(program: Command): void {
  queueCommand(
    program,
    {
      synopsis: 'migrate',
      summary: 'create or upgrade the tables of SQL stores',
      examples: ['migrate', 'migrate --pending', 'migrate --broker postgres://owner@localhost/shop --json'],
      // Connecting would do it.
      connects: false,
    },
    async ({ runtime, output, options }) => {
      const onlyLook = options['pending'] === true;
      const rows: { store: string; migration: string }[] = [];
      for (const { store, migrations } of migrated(runtime.stores.drivers)) {
        const names = onlyLook ? await migrations.pending() : await migrations.run();
        rows.push(...names.map((migration) => ({ store, migration })));
      }
      output.show(rows, () => table(['store', 'migration'], rows, 'The tables are up to date.'));
      return onlyLook && rows.length > 0 ? EXIT.failed : EXIT.done;
    },
  ).option('--pending', 'only say what would be run; exit code 1 when there is something');
}

interface Migratable {
  readonly describe: () => string;
  readonly migrations?: DriverMigrations;
}

function migrated(drivers: readonly Migratable[]) {
  const found = drivers.flatMap((driver) =>
    driver.migrations === undefined ? [] : [{ store: driver.describe(), migrations: driver.migrations }],
  );
  if (found.length > 0) return found;
  throw new UsageError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'No store here has tables to migrate.',
    remedy: 'SQL stores have: sqlite:, postgres://.',
  });
}
