import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { OutgoingMessage } from '../ports/broker.js';
import { keptResults } from '../ports/result-backend.js';
import type { StoredEntry } from '../ports/schedule-store.js';
import type { Stores } from '../ports/stores.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { isTerminal } from '../task/task-state.js';

export interface OverlapOptions {
  readonly stores: Pick<Stores, 'results' | 'showsWaiting'>;
  readonly registry: TaskRegistry;
  /** How long records are kept, milliseconds; 0 or undefined: for ever. */
  readonly resultExpiresMs: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Keeps an entry with `overlap: 'skip'` to one run at a time. Whether its last task has ended is read from the results:
 *
 * ```text
 *   no task sent yet, or ended ──► not busy ──send one──► PENDING ──worker──► … ──► ended
 *                                                           └── busy until then ──┘
 * ```
 *
 * A store that sees its own broker's messages says PENDING by itself, unless they are acknowledged before their run; for
 * these, and for other stores, beat records it before it sends. If
 * such a message is lost with its queue (a purge, a broker without its data), the entry waits until the record expires
 * or is forgotten.
 */
export class Overlap {
  /** Entries for which nobody can tell. */
  private readonly told = new Set<string>();

  constructor(private readonly options: OverlapOptions) {}

  /** Has the last task not ended? */
  async isBusy(entry: StoredEntry): Promise<boolean> {
    if (entry.overlap !== 'skip' || entry.lastTaskId === undefined) return false;
    const results = keptResults(this.options.stores.results);
    if (results === undefined || this.isIgnored(entry)) {
      this.tell(entry);
      return false;
    }
    const [record] = await results.get([entry.lastTaskId]);
    return record !== undefined && !isTerminal(record.state);
  }

  /** Of what is due at once, what may be sent at once: the latest, where runs must not overlap. */
  sideBySide(entry: StoredEntry, occurrences: readonly number[]): readonly number[] {
    return entry.overlap === 'skip' ? occurrences.slice(-1) : occurrences;
  }

  /** To be called before they are sent. */
  async note(entry: StoredEntry, messages: readonly OutgoingMessage[]): Promise<void> {
    const { stores, clock, resultExpiresMs = 0 } = this.options;
    const results = keptResults(stores.results);
    if (entry.overlap !== 'skip' || messages.length === 0) return;
    if (results === undefined || this.showsRuns(entry) || this.isIgnored(entry)) return;
    const now = clock.now();
    await results.put(
      messages.map(({ id, task, queue }) => ({
        taskId: id,
        state: 'PENDING',
        name: task,
        queue,
        run: 0,
        attempts: 0,
        periodicTaskName: entry.name,
        createdAt: now,
        ...(resultExpiresMs > 0 ? { expiresAt: now + resultExpiresMs } : {}),
      })),
    );
  }

  private isIgnored(entry: StoredEntry): boolean {
    return this.definition(entry)?.ignoreResult === true && !this.showsRuns(entry);
  }

  /** Does the store know a task from its message until it has ended? */
  private showsRuns(entry: StoredEntry): boolean {
    return this.options.stores.showsWaiting && this.definition(entry)?.ack !== 'early';
  }

  private definition({ task }: StoredEntry): TaskDefinition | undefined {
    return this.options.registry.find(task)?.definition;
  }

  private tell({ name }: StoredEntry): void {
    if (this.told.has(name)) return;
    this.told.add(name);
    this.options.logger.warn(
      `Schedule "${name}" has overlap: 'skip', and is sent all the same: without results that are kept nobody can tell whether its last run has ended.`,
      'Beat',
    );
  }
}
