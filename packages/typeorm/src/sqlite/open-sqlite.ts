import type { OpenedDatabase, OpenRequest } from '../opened-database.js';
import { keepAliveModule } from '../opened-database.js';
import { libraryOf } from './sqlite-driver.js';
import { SqliteStore } from './sqlite-store.js';
import { SqliteWatch } from './sqlite-watch.js';

/** Opens an SQLite data source that is initialized. */
export async function openSqlite(request: OpenRequest): Promise<OpenedDatabase> {
  const { dataSource, options, onChange } = request;
  const synchronous = options.synchronous ?? 'full';
  const store = new SqliteStore({ dataSource, synchronous, onSoon: onChange });
  await store.open();
  const watch = new SqliteWatch(store, onChange);
  watch.start();
  const { dialect, path } = store;
  const library = libraryOf(store.library);
  const sql = `update ${dialect.table('consumer')} set lease_until = ${dialect.now} + ? where id = ? returning id`;
  return {
    store,
    // A thread must open the file with the same library, so it has to be one that it can load by name.
    keepAlive: (consumer) =>
      library === undefined
        ? undefined
        : keepAliveModule({ kind: 'sqlite', library, path, synchronous, sql, consumer }),
    describe: () => `sqlite:${path}`,
    close: async () => {
      watch.stop();
      await store.close();
    },
  };
}
