import { BrokerError } from '@taskqueue/core';
import type { Dialect } from './dialect.js';
import type { SqlStore, Work } from './sql-store.js';

/** Stands for the store until the driver is connected, and again after it was closed. */
export class LateStore implements SqlStore {
  /** The store itself; the driver sets it. */
  inner: SqlStore | undefined;

  get dialect(): Dialect {
    return this.store.dialect;
  }

  get insideTransaction(): boolean {
    return this.inner?.insideTransaction ?? false;
  }

  run<T>(work: () => Work<T>): Promise<T> {
    return this.later((store) => store.run(work));
  }

  once<T>(work: () => Work<T>): Promise<T> {
    return this.later((store) => store.once(work));
  }

  join<T>(transaction: unknown, work: () => Work<T>): Promise<T> {
    return this.later((store) => store.join(transaction, work));
  }

  outside<T>(body: () => Promise<T>): Promise<T> {
    return this.later((store) => store.outside(body));
  }

  open(): Promise<void> {
    return this.later((store) => store.open());
  }

  close(): Promise<void> {
    return this.inner?.close() ?? Promise.resolve();
  }

  private async later<T>(call: (store: SqlStore) => Promise<T>): Promise<T> {
    return call(this.store);
  }

  private get store(): SqlStore {
    if (this.inner !== undefined) return this.inner;
    throw new BrokerError({
      code: 'BROKER_UNAVAILABLE',
      message: 'The SQL driver is not connected.',
      remedy: 'Call connect() first, and nothing after close().',
      retryable: true,
      fields: { sent: false },
    });
  }
}
