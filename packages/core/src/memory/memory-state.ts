import type { Clock } from '../ambient/clock.js';
import type { OutgoingMessage } from '../ports/broker.js';
import type { ResultRecord } from '../ports/result-backend.js';
import type { Revocation } from '../ports/revocations.js';
import type { StoredEntry } from '../ports/schedule-store.js';
import type { ScheduleEntry } from '../schedule/schedule-entry.js';

/** One record holds message, state and lease, so a message cannot be in two places or in none. */
export interface MemoryMessage {
  readonly sequence: number;
  outgoing: OutgoingMessage;
  status: 'ready' | 'delayed' | 'leased' | 'dead';
  dueAt: number;
  readonly enqueuedAt: number;
  run: number;
  lostLeases: number;
  /** Consumer that holds it, while leased. */
  consumer: number;
  reason: string;
  diedAt: number;
}

export interface MemoryConsumerLease {
  readonly id: number;
  leaseUntil: number;
}

/** What the ports of one memory driver share. */
export class MemoryState {
  readonly messages = new Map<string, MemoryMessage>();
  readonly queues = new Map<string, { paused: boolean }>();
  readonly consumers = new Map<number, MemoryConsumerLease>();
  readonly results = new Map<string, ResultRecord>();
  readonly revoked: { revocation: Revocation; sequence: number }[] = [];
  readonly schedules = new Map<string, StoredEntry & { declared?: ScheduleEntry }>();
  scheduleVersion = 0;
  private readonly listeners = new Set<() => void>();
  private lastSequence = 0;

  constructor(readonly clock: Clock) {}

  nextSequence(): number {
    this.lastSequence += 1;
    return this.lastSequence;
  }

  /** Calls back whenever a message may have become ready. */
  onReady(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  announceReady(): void {
    for (const listener of this.listeners) listener();
  }

  queue(name: string): { paused: boolean } {
    let queue = this.queues.get(name);
    if (queue === undefined) {
      queue = { paused: false };
      this.queues.set(name, queue);
    }
    return queue;
  }
}

/** When the message falls due by the store's clock. */
export function dueTime(outgoing: OutgoingMessage, now: number): number {
  return outgoing.delayMs === undefined ? (outgoing.eta ?? now) : now + outgoing.delayMs;
}
