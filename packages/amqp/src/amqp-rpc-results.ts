import type { Message } from 'amqplib';
import type { ResultBackend, ResultRecord } from '@taskqueue/core';
import { celeryResult, mayReplace, readResult, ResultError, showValue } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import type { AmqpPublisher, PlacedMessage } from './amqp-publisher.js';
import { AmqpReplyQueue } from './amqp-reply-queue.js';

export interface AmqpRpcResultsOptions {
  /** The one that never publishes. */
  readonly connection: AmqpConnection;
  readonly publisher: AmqpPublisher;
  readonly maxMessageBytes: number;
}

/** Tasks that this process remembers having sent; the oldest are forgotten first. */
const MOST = 50_000;

/**
 * Results sent to their callers, as Celery's `rpc://` does it: the caller names a queue of its own in `reply_to`, and whoever
 * runs the task, we or Python, sends there what becomes of it. Nothing is kept in between:
 *
 * ```text
 *   caller: expect(ids) ─► message with reply_to ─► worker: put ─► reply queue ─► caller: get, watch
 * ```
 *
 * So a result can be read by the process that sent the task, as often as it likes, and by nobody else; nothing can be listed,
 * and what a process had not read when it ended is gone. A caller that is gone is sent nothing, and nobody minds.
 */
export class AmqpRpcResults implements ResultBackend {
  private readonly records = new Map<string, ResultRecord | undefined>();
  private readonly watchers = new Set<(record: ResultRecord) => void>();
  private queue: AmqpReplyQueue | undefined;

  constructor(private readonly options: AmqpRpcResultsOptions) {}

  /** Resolves when the address stands. Rejects with BROKER_UNAVAILABLE. */
  async expect(taskIds: readonly string[]): Promise<string> {
    const { connection } = this.options;
    this.queue ??= new AmqpReplyQueue({ connection, onMessage: (message) => this.arrived(message) });
    await this.queue.open();
    // A task that is sent once more under its id starts anew.
    for (const id of taskIds) this.remember(id, undefined);
    return this.queue.name;
  }

  async put(records: readonly ResultRecord[]): Promise<readonly ('stored' | 'superseded')[]> {
    const placed = records.flatMap((record) => {
      const { replyTo } = record;
      return replyTo === undefined ? [] : [this.place(record, replyTo)];
    });
    for (const outcome of await this.options.publisher.send(placed)) if ('error' in outcome) throw outcome.error;
    return records.map(() => 'stored');
  }

  /** Rejects with RESULT_UNAVAILABLE for a task that this process has not sent, or not lately. */
  get(taskIds: readonly string[]): Promise<readonly (ResultRecord | undefined)[]> {
    const unknown = taskIds.find((id) => !this.records.has(id));
    if (unknown !== undefined) return Promise.reject(notOurs(unknown));
    return Promise.resolve(taskIds.map((id) => this.records.get(id)));
  }

  forget(taskIds: readonly string[]): Promise<void> {
    for (const id of taskIds) this.records.delete(id);
    return Promise.resolve();
  }

  async *watch(taskIds: readonly string[], signal: AbortSignal): AsyncIterable<ResultRecord> {
    const wanted = new Set(taskIds);
    const news: ResultRecord[] = [];
    let wake: (() => void) | undefined;
    const onAbort = (): void => wake?.();
    const hear = (record: ResultRecord): void => {
      if (!wanted.has(record.taskId)) return;
      news.push(record);
      wake?.();
    };
    signal.addEventListener('abort', onAbort);
    this.watchers.add(hear);
    try {
      while (!signal.aborted) {
        const record = news.shift();
        if (record !== undefined) yield record;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.watchers.delete(hear);
    }
  }

  async close(): Promise<void> {
    await this.queue?.close();
    this.queue = undefined;
  }

  private place(record: ResultRecord, replyTo: string): PlacedMessage {
    const { maxMessageBytes } = this.options;
    const body = Buffer.from(celeryResult(record));
    return {
      queue: undefined,
      waitsIn: undefined,
      exchange: '',
      key: replyTo,
      body: body.length <= maxMessageBytes ? body : Buffer.from(celeryResult(tooLarge(record, body.length))),
      // Not mandatory: the caller may be gone.
      options: {
        correlationId: record.taskId,
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        deliveryMode: 2,
      },
    };
  }

  private arrived({ content, properties }: Message): void {
    const id: unknown = properties.correlationId;
    if (typeof id !== 'string') return;
    const next = readResult(id, content.toString());
    if (next === undefined) return;
    const current = this.records.get(id);
    if (current !== undefined && !mayReplace(current, next)) return;
    const record = current === undefined ? next : { ...earlier(current), ...next };
    this.remember(id, record);
    for (const hear of this.watchers) hear(record);
  }

  private remember(id: string, record: ResultRecord | undefined): void {
    this.records.delete(id);
    this.records.set(id, record);
    if (this.records.size <= MOST) return;
    const [oldest] = this.records.keys();
    if (oldest !== undefined) this.records.delete(oldest);
  }
}

/** What stays where a later record is silent about it. */
function earlier({ progress, createdAt, startedAt }: ResultRecord): Partial<ResultRecord> {
  return {
    ...(progress === undefined ? {} : { progress }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(startedAt === undefined ? {} : { startedAt }),
  };
}

function notOurs(taskId: string): ResultError {
  return new ResultError({
    code: 'RESULT_UNAVAILABLE',
    message: `The result of task ${showValue(taskId)} was not sent to this process: results by rpc can be read only where the task was sent.`,
    remedy: 'Read it there, or keep results in a store (results: a redis, postgres or sqlite URL).',
    fields: { taskId },
  });
}

/** The task has run; its caller is told why there is no value. */
function tooLarge({ result: _result, progress: _progress, ...record }: ResultRecord, bytes: number): ResultRecord {
  const message = `Its result is ${bytes} bytes long, more than can be sent (maxMessageBytes).`;
  return {
    ...record,
    state: 'FAILURE',
    failure: { type: 'MessageTooLarge', module: 'builtins', message, code: 'MESSAGE_TOO_LARGE' },
  };
}
