import type { DataSource } from 'typeorm';

/** Where the tables are, and how to use them. Exactly one of `dataSource` and `url`. */
export interface TypeormDriverOptions {
  /**
   * The application's data source, of type `postgres` or `better-sqlite3`, or a function that gives it when the driver
   * connects. It is initialized if it is not yet, and stays open when the driver closes. A publication may join its
   * transactions. An SQLite data source is changed so that its transactions take turns (see the README).
   */
  readonly dataSource?: DataSource | (() => DataSource | Promise<DataSource>);
  /** `postgres://user:password@host/database?schema=…` or `sqlite:./data/tasks.sqlite`: a data source of the driver's own. */
  readonly url?: string;
  /**
   * `auto` (default): `connect` creates and upgrades the tables. `manual`: the application runs
   * `TASK_QUEUE_MIGRATIONS` or calls `ensureSchema` itself, e.g. with a database user that may change the schema.
   */
  readonly migrations?: 'auto' | 'manual';
  /** Longest time between two looks for work when no wake-up comes, milliseconds, at least 10. Default 1 000. */
  readonly pollMs?: number;
  /**
   * SQLite only. `full` (default): what was accepted survives a crash of the machine. `normal`: it survives a crash of
   * the process, and the machine may lose the last second; several times faster for single messages.
   */
  readonly synchronous?: 'full' | 'normal';
}
