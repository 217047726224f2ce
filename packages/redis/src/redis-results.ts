import type { ResultBackend, ResultRecord } from '@taskqueue/core';
import { readResult, resultWrite } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';
import type { RedisSubscriber } from './redis-subscriber.js';
import { pushWrite } from './result-arguments.js';

export interface RedisResultsOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly subscriber: RedisSubscriber;
}

/** Records of one call, at most. */
const BATCH = 200;

/**
 * Results as Celery keeps them, one text for each task, which the server forgets by itself. They cannot be listed: an
 * index would have to be kept for every task. What Python writes it does not compare; a state may go back when it does.
 */
export class RedisResults implements ResultBackend {
  constructor(private readonly options: RedisResultsOptions) {}

  async put(records: readonly ResultRecord[]): Promise<readonly ('stored' | 'superseded')[]> {
    const size = this.options.connection.isCluster ? 1 : BATCH;
    const answers: number[] = [];
    for (let start = 0; start < records.length; start += size) {
      answers.push(...(await this.putBatch(records.slice(start, start + size))));
    }
    return answers.map((answer) => (answer === 1 ? 'stored' : 'superseded'));
  }

  async get(taskIds: readonly string[]): Promise<readonly (ResultRecord | undefined)[]> {
    const texts = await this.read(taskIds.map((id) => this.options.keys.result(id)));
    return taskIds.map((id, index) => {
      const text = texts[index];
      return text === null || text === undefined ? undefined : readResult(id, text);
    });
  }

  async forget(taskIds: readonly string[]): Promise<void> {
    const { connection, keys } = this.options;
    await Promise.all(taskIds.map((id) => connection.command('del', keys.result(id))));
  }

  async *watch(taskIds: readonly string[], signal: AbortSignal): AsyncIterable<ResultRecord> {
    const news: ResultRecord[] = [];
    let wake: (() => void) | undefined;
    const onAbort = (): void => wake?.();
    signal.addEventListener('abort', onAbort);
    const stops: (() => void)[] = [];
    try {
      for (const id of new Set(taskIds)) {
        const hear = (text: string): void => {
          const record = readResult(id, text);
          if (record !== undefined) news.push(record);
          wake?.();
        };
        stops.push(await this.options.subscriber.subscribe(this.options.keys.result(id), hear));
      }
      while (!signal.aborted) {
        const record = news.shift();
        if (record !== undefined) yield record;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      for (const stop of stops) stop();
    }
  }

  private async putBatch(records: readonly ResultRecord[]): Promise<number[]> {
    const { connection, keys } = this.options;
    const args: (string | number)[] = [];
    for (const record of records) pushWrite(args, resultWrite(record));
    const names = records.map((record) => keys.result(record.taskId));
    return (await connection.run('put-results', names, args)) as number[];
  }

  private async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const { connection } = this.options;
    if (keys.length === 0) return [];
    if (!connection.isCluster) {
      const texts: (string | null)[] = [];
      for (let start = 0; start < keys.length; start += BATCH) {
        texts.push(...((await connection.command('mget', ...keys.slice(start, start + BATCH))) as (string | null)[]));
      }
      return texts;
    }
    return Promise.all(keys.map(async (key) => (await connection.command('get', key)) as string | null));
  }
}
