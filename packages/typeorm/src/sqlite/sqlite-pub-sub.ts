import type { Channel, ChannelListener, ChannelSubscription, Logger, Publication } from '@taskqueue/core';
import { ChannelListeners, deferred } from '@taskqueue/core';
import type { OpenPubSub } from '../sql/late-pub-sub.js';
import { closedEarly } from '../sql/late-pub-sub.js';
import { readPublication, writePublication } from '../sql/publication-text.js';
import type { SqlStore, Work } from '../sql/sql-store.js';

/** What nobody has read by then was said to nobody. */
const KEPT_MS = 30_000;
const BATCH = 1_000;
/** Between two attempts of a subscription to find its place. */
const RETRY_MS = 200;

/**
 * Pub/sub by a table that is read on from where one was, whenever somebody has committed something to the file; that is
 * looked for every 20 ms anyway (see SqliteWatch). Nothing is read while nobody listens.
 */
export class SqlitePubSub implements OpenPubSub {
  private readonly listeners: ChannelListeners;
  private readonly joining = new Set<() => void>();
  private users = 0;
  /** Number of the last publication that was read; undefined until the first look. */
  private read: number | undefined;
  private reading: Promise<void> | undefined;
  private again = false;
  private closed = false;

  constructor(
    private readonly store: SqlStore,
    private readonly logger: () => Logger,
  ) {
    this.listeners = new ChannelListeners(logger);
  }

  /** Inside a transaction that is open in the caller's flow: heard when that commits. */
  async publish(publications: readonly Publication[]): Promise<void> {
    const texts = publications.map(writePublication);
    if (texts.length === 0) return;
    await this.store.run(() => this.insert(texts));
    this.changed();
  }

  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription {
    const ready = deferred();
    ready.promise.catch(() => undefined);
    let remove: (() => void) | undefined;
    let closed = false;
    const abandon = (): void => ready.reject(closedEarly());
    this.users += 1;
    this.joining.add(abandon);
    // What was said before goes to those who were there.
    void this.catchUp().then(() => {
      this.joining.delete(abandon);
      if (closed || this.closed) return;
      remove = this.listeners.add(channels, listener);
      ready.resolve();
    });
    const close = (): Promise<void> => {
      if (!closed) {
        closed = true;
        abandon();
        remove?.();
        this.users -= 1;
      }
      return Promise.resolve();
    };
    return { ready: ready.promise, close };
  }

  changed(): void {
    if (this.users === 0 || this.closed) return;
    this.again = true;
    this.reading ??= this.readOn().finally(() => {
      this.reading = undefined;
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const abandon of this.joining) abandon();
    await this.reading;
  }

  private async catchUp(): Promise<void> {
    do {
      this.changed();
      await this.reading;
      if (this.read === undefined) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    } while (this.read === undefined && !this.closed);
  }

  /** Again while there is more, or a change came meanwhile. A file that cannot be read is tried with the next change. */
  private async readOn(): Promise<void> {
    while (this.again && !this.closed) {
      this.again = false;
      try {
        const rows = await this.store.outside(() => this.store.once(() => this.select()));
        for (const text of rows) this.listeners.deliver(readPublication(text));
        if (rows.length === BATCH) this.again = true;
      } catch (error) {
        this.logger().warn(`What others said could not be read: ${String(error)}`, 'TaskQueue');
      }
    }
  }

  private *insert(texts: readonly string[]): Work<void> {
    const { dialect } = this.store;
    const table = dialect.table('publication');
    yield { sql: `delete from ${table} where expires_at < ${dialect.now}` };
    for (const text of texts) {
      yield {
        sql: `insert into ${table} (publication, expires_at) values ($1, ${dialect.now} + ${KEPT_MS})`,
        params: [text],
      };
    }
  }

  private *select(): Work<readonly string[]> {
    const { dialect } = this.store;
    const table = dialect.table('publication');
    if (this.read === undefined) {
      const [row] = yield { sql: `select coalesce(max(id), 0) as id from ${table}` };
      this.read = Number(row?.['id']);
      return [];
    }
    const rows = yield {
      sql: `select id, publication from ${table} where id > $1 order by id limit ${BATCH}`,
      params: [this.read],
    };
    this.read = Number(rows.at(-1)?.['id'] ?? this.read);
    return rows.map((row) => row['publication'] as string);
  }
}
