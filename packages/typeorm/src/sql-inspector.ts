import type { DeadLetter, MessageStatus, QueuedMessage, QueueFacts, QueueInspector } from '@taskqueue/core';
import { checkListLimit, unknownCursor } from '@taskqueue/core';
import type { WakeHub } from './broker/wake-hub.js';
import { MESSAGE_STATE } from './sql/dialect.js';
import { encodedMessage } from './sql/message-row.js';
import { instant } from './sql/result-row.js';
import type { Row, SqlStore, SqlValue, Work } from './sql/sql-store.js';
import { statement } from './sql/sql-store.js';

const { ready, suspect, delayed, dead } = MESSAGE_STATE;

/** The inspector on an SQL database. */
export class SqlInspector implements QueueInspector {
  constructor(
    private readonly store: SqlStore,
    private readonly hub: WakeHub,
  ) {}

  async queues(): Promise<readonly QueueFacts[]> {
    const { dialect } = this.store;
    const waits = `m.consumer = 0 and ${this.isReady('m.')}`;
    const rows = await this.store.once(() =>
      statement(`select names.name, coalesce(max(case when q.paused then 1 else 0 end), 0) as paused,
          count(case when ${waits} then 1 end) as ready,
          count(case when m.consumer = 0 and m.state = ${delayed} and m.due_at > ${dialect.now} then 1 end) as delayed,
          count(case when m.consumer <> 0 then 1 end) as leased,
          count(case when m.state = ${dead} then 1 end) as dead,
          ${dialect.now} - min(case when ${waits} then m.enqueued_at end) as age
        from (select name from ${dialect.table('queue')} union select queue from ${dialect.table('message')}) as names
        left join ${dialect.table('queue')} q on q.name = names.name
        left join ${dialect.table('message')} m on m.queue = names.name
        group by names.name order by names.name`),
    );
    return rows.map((row) => {
      const age = instant(row['age']);
      return {
        name: row['name'] as string,
        paused: Number(row['paused']) > 0,
        ready: Number(row['ready']),
        delayed: Number(row['delayed']),
        leased: Number(row['leased']),
        dead: Number(row['dead']),
        oldestReadyMs: age === undefined ? undefined : Math.max(0, age),
      };
    });
  }

  async peek(query: {
    readonly queue: string;
    readonly status: MessageStatus;
    readonly limit: number;
  }): Promise<readonly QueuedMessage[]> {
    const { dialect } = this.store;
    const conditions: Record<MessageStatus, string> = {
      ready: `consumer = 0 and ${this.isReady('')}`,
      delayed: `consumer = 0 and state = ${delayed} and due_at > ${dialect.now}`,
      leased: 'consumer <> 0',
    };
    const rows = await this.store.once(() =>
      statement(
        `select * from ${dialect.table('message')} where queue = $1 and ${conditions[query.status]} order by id limit $2`,
        [query.queue, query.limit],
      ),
    );
    return rows.map(queuedMessage);
  }

  async purge(queue: string): Promise<number> {
    const { dialect } = this.store;
    const rows = await this.store.once(() =>
      statement(
        `delete from ${dialect.table('message')} where queue = $1 and consumer = 0 and state <> ${dead} returning id`,
        [queue],
      ),
    );
    return rows.length;
  }

  async pause(queue: string): Promise<void> {
    await this.store.run(() => this.setPaused(queue, true));
  }

  async resume(queue: string): Promise<void> {
    await this.store.run(() => this.setPaused(queue, false));
    this.hub.ring();
  }

  async deadLetters(query: { readonly queue?: string; readonly limit: number; readonly cursor?: string }): Promise<{
    readonly messages: readonly DeadLetter[];
    readonly nextCursor?: string;
  }> {
    checkListLimit(query.limit);
    const before = query.cursor === undefined ? undefined : readCursor(query.cursor);
    const rows = await this.store.once(() => this.deadPage(query, before));
    const messages = rows.slice(0, query.limit).map((row): DeadLetter => ({
      ...queuedMessage(row),
      reason: row['reason'] as string,
      diedAt: Number(row['died_at']),
    }));
    const last = rows[query.limit - 1];
    if (rows.length <= query.limit || last === undefined) return { messages };
    return { messages, nextCursor: `${Number(last['died_at'])}.${Number(last['id'])}` };
  }

  async redrive(taskIds: readonly string[]): Promise<readonly string[]> {
    if (taskIds.length === 0) return [];
    const redriven = await this.store.run(() => this.revive(taskIds));
    if (redriven.length > 0) this.hub.ring();
    return redriven;
  }

  /** A delayed message that is due counts as ready, though nobody has moved it yet. */
  private isReady(prefix: string): string {
    const due = `${prefix}state = ${delayed} and ${prefix}due_at <= ${this.store.dialect.now}`;
    return `(${prefix}state in (${ready}, ${suspect}) or (${due}))`;
  }

  private *setPaused(queue: string, paused: boolean): Work<void> {
    const { dialect } = this.store;
    yield {
      sql: `insert into ${dialect.table('queue')} (name, paused) values ($1, $2)
        on conflict (name) do update set paused = excluded.paused`,
      params: [queue, paused],
    };
    yield* dialect.announce();
  }

  private deadPage(query: { queue?: string; limit: number }, before: DeadPosition | undefined): Work<readonly Row[]> {
    const { dialect } = this.store;
    const params: SqlValue[] = [query.limit + 1];
    let where = `state = ${dead}`;
    if (query.queue !== undefined) where += ` and queue = $${params.push(query.queue)}`;
    if (before !== undefined) {
      where += ` and (died_at, id) < ($${params.push(before.diedAt)}, $${params.push(before.id)})`;
    }
    return statement(
      `select * from ${dialect.table('message')} where ${where} order by died_at desc, id desc limit $1`,
      params,
    );
  }

  private *revive(taskIds: readonly string[]): Work<readonly string[]> {
    const { dialect } = this.store;
    const rows = yield {
      sql: `update ${dialect.table('message')} set state = ${ready}, lost_leases = 0, reason = null, died_at = null
        where ${dialect.anyOf('task_id', '$1')} and state = ${dead} returning task_id`,
      params: [taskIds],
    };
    const ids = rows.map((row) => row['task_id'] as string);
    if (ids.length === 0) return ids;
    // What is redriven must be able to end anew.
    yield { sql: `delete from ${dialect.table('result')} where ${dialect.anyOf('task_id', '$1')}`, params: [ids] };
    yield* dialect.announce();
    return ids;
  }
}

/** Where a page of dead letters ended. */
interface DeadPosition {
  readonly diedAt: number;
  readonly id: number;
}

function readCursor(cursor: string): DeadPosition {
  const [, diedAt, id] = /^(\d{1,15})\.(\d{1,15})$/.exec(cursor) ?? [];
  if (diedAt === undefined) throw unknownCursor(cursor);
  return { diedAt: Number(diedAt), id: Number(id) };
}

function queuedMessage(row: Row): QueuedMessage {
  return {
    id: row['task_id'] as string,
    task: row['task'] as string,
    queue: row['queue'] as string,
    priority: 9 - Number(row['urgency']),
    enqueuedAt: Number(row['enqueued_at']),
    eta: Number(row['state']) === delayed ? instant(row['due_at']) : undefined,
    message: encodedMessage({
      task_id: row['task_id'] as string,
      task: row['task'] as string,
      envelope: row['envelope'] as string,
      body: row['body'] as string,
    }),
  };
}
