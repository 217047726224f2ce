import type { Dialect } from './dialect.js';
import type { SqlStore, Work } from './sql-store.js';

/**
 * The same store, but never as part of a transaction in whose flow a call happens to be made: for loops, claims and
 * settlements, which are nobody's in particular.
 */
export class DetachedStore implements SqlStore {
  readonly insideTransaction = false;

  constructor(private readonly store: SqlStore) {}

  get dialect(): Dialect {
    return this.store.dialect;
  }

  run<T>(work: () => Work<T>): Promise<T> {
    return this.store.outside(() => this.store.run(work));
  }

  once<T>(work: () => Work<T>): Promise<T> {
    return this.store.outside(() => this.store.once(work));
  }

  join<T>(transaction: unknown, work: () => Work<T>): Promise<T> {
    return this.store.join(transaction, work);
  }

  outside<T>(body: () => Promise<T>): Promise<T> {
    return this.store.outside(body);
  }

  open(): Promise<void> {
    return this.store.open();
  }

  close(): Promise<void> {
    return this.store.close();
  }
}
