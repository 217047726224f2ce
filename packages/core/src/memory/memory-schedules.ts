import { occurrenceTaskId } from '../ambient/ids.js';
import type { OccurrenceClaim, ScheduleStep, ScheduleStore, StoredEntry } from '../ports/schedule-store.js';
import { isEdited, mergeDeclared } from '../schedule/declared-merge.js';
import type { ScheduleEntry } from '../schedule/schedule-entry.js';
import type { MemoryBroker } from './memory-broker.js';
import type { MemoryLocks } from './memory-locks.js';
import type { MemoryState } from './memory-state.js';

/** The schedule port in memory. */
export class MemorySchedules implements ScheduleStore {
  readonly capabilities = { atomicFire: true };

  constructor(
    private readonly state: MemoryState,
    private readonly broker: MemoryBroker,
    private readonly locks: MemoryLocks,
  ) {}

  poll(): Promise<{ version: string; now: number }> {
    return Promise.resolve({ version: String(this.state.scheduleVersion), now: this.state.clock.now() });
  }

  list(): Promise<readonly StoredEntry[]> {
    return Promise.resolve([...this.state.schedules.values()].map(({ declared: _declared, ...entry }) => entry));
  }

  syncDeclared(entries: readonly ScheduleEntry[]): Promise<void> {
    const names = new Set(entries.map((entry) => entry.name));
    for (const stored of this.state.schedules.values()) {
      if (stored.declared === undefined || names.has(stored.name)) continue;
      if (!isEdited(stored, stored.declared)) this.state.schedules.delete(stored.name);
    }
    for (const entry of entries) {
      const stored = this.state.schedules.get(entry.name);
      const merged =
        stored === undefined ? entry : mergeDeclared({ stored, lastDeclared: stored.declared, declared: entry });
      this.state.schedules.set(entry.name, { ...fresh(stored), ...merged, declared: entry });
    }
    this.state.scheduleVersion += 1;
    return Promise.resolve();
  }

  upsert(entries: readonly ScheduleEntry[]): Promise<void> {
    for (const entry of entries) {
      const stored = this.state.schedules.get(entry.name);
      const declared = stored?.declared;
      this.state.schedules.set(entry.name, {
        ...fresh(stored),
        ...entry,
        ...(declared === undefined ? {} : { declared }),
      });
    }
    this.state.scheduleVersion += 1;
    return Promise.resolve();
  }

  remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.state.schedules.delete(name);
    this.state.scheduleVersion += 1;
    return Promise.resolve();
  }

  async claim({ name, dueAt, owner, ttlMs }: OccurrenceClaim): Promise<boolean> {
    const [answer] = await this.locks.acquire([{ key: occurrenceTaskId(name, dueAt), owner, permits: 1, ttlMs }]);
    return answer?.status === 'acquired' && this.state.schedules.get(name)?.dueAt === dueAt;
  }

  advance(step: ScheduleStep): Promise<boolean> {
    const stored = this.state.schedules.get(step.name);
    if (stored === undefined || stored.dueAt !== step.dueAt) return Promise.resolve(false);
    this.state.schedules.set(step.name, {
      ...stored,
      dueAt: step.nextDueAt,
      dueFingerprint: step.fingerprint,
      enabled: step.disable === true ? false : stored.enabled,
      lastRunAt: step.firedAt ?? stored.lastRunAt,
      lastTaskId: step.lastTaskId ?? stored.lastTaskId,
      totalRunCount: stored.totalRunCount + (step.fired ?? 0),
    });
    if (step.publish !== undefined) this.broker.publishNow(step.publish);
    return Promise.resolve(true);
  }
}

function fresh(stored: StoredEntry | undefined): Omit<StoredEntry, keyof ScheduleEntry> {
  return {
    dueAt: stored?.dueAt,
    dueFingerprint: stored?.dueFingerprint,
    lastRunAt: stored?.lastRunAt,
    lastTaskId: stored?.lastTaskId,
    totalRunCount: stored?.totalRunCount ?? 0,
  };
}
