import type { Revocation, RevocationRequest, RevocationStore } from '../ports/revocations.js';
import { revokedRecord } from '../task/revoked-record.js';
import type { MemoryResults } from './memory-results.js';
import type { MemoryState } from './memory-state.js';

/** The revocation port in memory. */
export class MemoryRevocations implements RevocationStore {
  constructor(
    private readonly state: MemoryState,
    private readonly results: MemoryResults,
  ) {}

  revoke(requests: readonly RevocationRequest[]): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const { waiting, recordExpiresAt: expiresAt, ...revocation } of requests) {
      this.state.revoked.push({ revocation, sequence: this.state.nextSequence() });
      if (waiting === 'leave') continue;
      const message = this.state.messages.get(revocation.taskId);
      if (message === undefined || (message.status !== 'ready' && message.status !== 'delayed')) continue;
      this.state.messages.delete(revocation.taskId);
      removed.push(revocation.taskId);
      const { id, task, queue } = message.outgoing;
      if (waiting === 'drop' || message.outgoing.message.headers['ignore_result'] === true) continue;
      const record = revokedRecord({ taskId: id, name: task, queue, run: message.run, doneAt: this.state.clock.now() });
      const kept = { ...record, createdAt: message.enqueuedAt };
      this.results.putNow([expiresAt === undefined ? kept : { ...kept, expiresAt }]);
    }
    return Promise.resolve(removed);
  }

  since(marker: string | undefined): Promise<{ revocations: readonly Revocation[]; marker: string }> {
    const from = marker === undefined ? 0 : Number(marker);
    const now = this.state.clock.now();
    const fresh = this.state.revoked.filter(
      ({ sequence, revocation }) => sequence > from && revocation.expiresAt > now,
    );
    const last = this.state.revoked.at(-1)?.sequence ?? 0;
    return Promise.resolve({ revocations: fresh.map(({ revocation }) => revocation), marker: String(last) });
  }
}
