import type { KeepAlive, Logger } from '@taskqueue/core';
import type { DataSource } from 'typeorm';
import type { TypeormDriverOptions } from './driver-options.js';
import type { KeepAliveData } from './keep-alive.js';
import type { SqlStore } from './sql/sql-store.js';

/** A database that is in use. */
export interface OpenedDatabase {
  readonly store: SqlStore;
  /** How a thread renews the consumer row with this id. */
  keepAlive(consumer: number): KeepAlive | undefined;
  /** Where it is, without credentials. */
  describe(): string;
  close(): Promise<void>;
}

export interface OpenRequest {
  readonly dataSource: DataSource;
  readonly options: TypeormDriverOptions;
  readonly logger: () => Logger;
  /** Called when another connection may have changed something. */
  readonly onChange: () => void;
}

/**
 * The keep-alive module as a thread can load it: threads cannot load TypeScript, so that from the sources the built one
 * is meant.
 */
export function keepAliveModule(data: KeepAliveData): KeepAlive {
  const url = new URL('./keep-alive.js', import.meta.url);
  const module = import.meta.url.endsWith('.ts') ? url.href.replace('/src/', '/dist/') : url.href;
  return { module, data };
}
