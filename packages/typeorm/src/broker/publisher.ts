import type { OutgoingMessage, PublishOutcome } from '@taskqueue/core';
import { Coalescer, isTaskQueueError } from '@taskqueue/core';
import type { MessageColumns } from '../sql/message-row.js';
import { messageColumns } from '../sql/message-row.js';
import { DetachedStore } from '../sql/detached-store.js';
import type { SqlStore } from '../sql/sql-store.js';
import { isFateUnknown } from '../postgres/postgres-store.js';
import { soon } from '../postgres/postgres-dialect.js';
import type { WakeHub } from './wake-hub.js';

/** Calls under way at once: one is on its way while the next is at work. */
const CALLS = 2;

/** Puts messages into the table, one by one as they come or many in one statement when many come. */
export class Publisher {
  private readonly coalescer: Coalescer<MessageColumns, PublishOutcome>;

  constructor(
    private readonly store: SqlStore,
    private readonly hub: WakeHub,
  ) {
    const detached = new DetachedStore(store);
    this.coalescer = new Coalescer({
      send: (rows) => this.send(rows, detached),
      calls: CALLS,
    });
  }

  async publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    return this.withGoodOnes(messages, (rows) => this.coalescer.add(rows));
  }

  /** Becomes part of the caller's transaction, at once. */
  async publishInside(transaction: unknown, messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    return this.withGoodOnes(messages, async (rows) => {
      // Whoever is idle at the commit need not be idle now, so this is always announced.
      const accepted = await this.store.join(transaction, () => this.store.dialect.publish(rows, true));
      return outcomes(rows, accepted);
    });
  }

  /** Publishes directly, as a statement of the flow that calls: for a publication inside an open SQLite transaction. */
  publishHere(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    return this.withGoodOnes(messages, (rows) => this.send(rows, this.store));
  }

  /** One bad message fails alone: the others go on. */
  private async withGoodOnes(
    messages: readonly OutgoingMessage[],
    publish: (rows: readonly MessageColumns[]) => Promise<readonly PublishOutcome[]>,
  ): Promise<readonly PublishOutcome[]> {
    const checked = messages.map(check);
    const rows = checked.filter((one): one is MessageColumns => !('status' in one));
    const answers = rows.length === 0 ? [] : await publish(rows);
    let index = 0;
    return checked.map((one) => ('status' in one ? one : (answers[index++] as PublishOutcome)));
  }

  private async send(rows: readonly MessageColumns[], store: SqlStore): Promise<readonly PublishOutcome[]> {
    try {
      const accepted = await store.once(() => store.dialect.publish(rows, soon(rows)));
      this.wake(rows);
      return outcomes(rows, accepted);
    } catch (error) {
      if (rows.length > 1 && !isTaskQueueError(error, 'BROKER_UNAVAILABLE')) return this.sendOneByOne(rows, store);
      const status = isFateUnknown(error) ? 'unknown' : 'refused';
      return rows.map(() => ({ status, error: error as Error }));
    }
  }

  /** The database refuses one of them; nothing of the batch is there. */
  private async sendOneByOne(rows: readonly MessageColumns[], store: SqlStore): Promise<readonly PublishOutcome[]> {
    const answers: PublishOutcome[] = [];
    for (const row of rows) answers.push(...(await this.send([row], store)));
    return answers;
  }

  private wake(rows: readonly MessageColumns[]): void {
    const waits = rows.map((row) => row.delay ?? (row.due === null ? 0 : row.due - Date.now()));
    if (waits.some((ms) => ms <= 0)) this.hub.ring();
    const delays = waits.filter((ms) => ms > 0);
    if (delays.length > 0) this.hub.lookWithin(Math.min(...delays));
  }
}

function check(message: OutgoingMessage): MessageColumns | PublishOutcome {
  try {
    return messageColumns(message);
  } catch (error) {
    return { status: 'refused', error: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** Of two messages with one id in a batch the first was accepted. */
function outcomes(rows: readonly MessageColumns[], accepted: Set<string>): PublishOutcome[] {
  return rows.map((row) => ({ status: accepted.delete(row.task_id) ? 'accepted' : 'duplicate' }));
}
