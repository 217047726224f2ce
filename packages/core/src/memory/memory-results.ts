import type { ResultBackend, ResultPage, ResultQuery, ResultRecord } from '../ports/result-backend.js';
import { checkListLimit, unknownCursor } from '../ports/list-query.js';
import { mayReplace } from '../task/task-state.js';
import type { MemoryState } from './memory-state.js';

/** The result port in memory. Tasks that wait in the broker of the same driver are seen as PENDING. */
export class MemoryResults implements ResultBackend {
  private readonly watchers = new Set<(record: ResultRecord) => void>();

  constructor(private readonly state: MemoryState) {}

  put(records: readonly ResultRecord[]): Promise<readonly ('stored' | 'superseded')[]> {
    return Promise.resolve(this.putNow(records));
  }

  /** The same without a promise, for the other ports of this driver. */
  putNow(records: readonly ResultRecord[]): ('stored' | 'superseded')[] {
    return records.map((record) => {
      const current = this.state.results.get(record.taskId);
      if (current !== undefined && !mayReplace(current, record)) return 'superseded';
      const merged = {
        ...record,
        createdAt: record.createdAt ?? current?.createdAt,
        startedAt: record.startedAt ?? current?.startedAt,
        progress: record.progress ?? current?.progress,
      };
      this.state.results.set(record.taskId, merged);
      for (const watcher of this.watchers) watcher(merged);
      return 'stored';
    });
  }

  get(taskIds: readonly string[]): Promise<readonly (ResultRecord | undefined)[]> {
    return Promise.resolve(taskIds.map((id) => this.state.results.get(id) ?? this.pending(id)));
  }

  forget(taskIds: readonly string[]): Promise<void> {
    for (const id of taskIds) this.state.results.delete(id);
    return Promise.resolve();
  }

  async *watch(taskIds: readonly string[], signal: AbortSignal): AsyncIterable<ResultRecord> {
    const wanted = new Set(taskIds);
    const buffer: ResultRecord[] = [];
    let wake: (() => void) | undefined;
    const watcher = (record: ResultRecord): void => {
      if (!wanted.has(record.taskId)) return;
      buffer.push(record);
      wake?.();
    };
    const onAbort = (): void => wake?.();
    this.watchers.add(watcher);
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const record = buffer.shift();
        if (record !== undefined) yield record;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.watchers.delete(watcher);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async list(query: ResultQuery): Promise<ResultPage> {
    checkListLimit(query.limit);
    const after = query.cursor;
    if (after !== undefined && !POSITION.test(after)) throw unknownCursor(after);
    const waiting = [...this.state.messages.keys()]
      .filter((id) => !this.state.results.has(id))
      .map((id) => this.pending(id))
      .filter((record) => record !== undefined);
    const all = [...this.state.results.values(), ...waiting]
      .filter((record) => query.states === undefined || query.states.includes(record.state))
      .filter((record) => query.names === undefined || query.names.includes(record.name))
      .sort((a, b) => comparePosition(position(b), position(a)));
    const rest = after === undefined ? all : all.filter((record) => comparePosition(position(record), after) < 0);
    const records = rest.slice(0, query.limit);
    const last = records.at(-1);
    return rest.length > records.length && last !== undefined ? { records, nextCursor: position(last) } : { records };
  }

  cleanUp(): Promise<number> {
    const now = this.state.clock.now();
    const expired = [...this.state.results.values()].filter((r) => r.expiresAt !== undefined && r.expiresAt <= now);
    for (const record of expired) this.state.results.delete(record.taskId);
    return Promise.resolve(expired.length);
  }

  private pending(id: string): ResultRecord | undefined {
    const message = this.state.messages.get(id);
    if (message === undefined || message.status === 'dead') return undefined;
    return {
      taskId: id,
      state: 'PENDING',
      name: message.outgoing.task,
      run: 0,
      attempts: 0,
      queue: message.outgoing.queue,
      createdAt: message.enqueuedAt,
    };
  }
}

const POSITION = /^\d{16}\|[^]+$/;

/** Text that sorts as (creation instant, id) does. */
function position(record: ResultRecord): string {
  return `${String(record.createdAt ?? 0).padStart(16, '0')}|${record.taskId}`;
}

function comparePosition(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
