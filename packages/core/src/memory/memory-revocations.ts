import type { Revocation, RevocationStore } from '../ports/revocations.js';
import { revokedRecord } from '../task/revoked-record.js';
import type { MemoryResults } from './memory-results.js';
import type { MemoryState } from './memory-state.js';

/** The revocation port in memory. */
export class MemoryRevocations implements RevocationStore {
  constructor(
    private readonly state: MemoryState,
    private readonly results: MemoryResults,
  ) {}

  revoke(revocations: readonly Revocation[]): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const revocation of revocations) {
      this.state.revoked.push({ revocation, sequence: this.state.nextSequence() });
      const message = this.state.messages.get(revocation.taskId);
      if (message === undefined || (message.status !== 'ready' && message.status !== 'delayed')) continue;
      this.state.messages.delete(revocation.taskId);
      removed.push(revocation.taskId);
      const { id, task, queue } = message.outgoing;
      if (message.outgoing.message.headers['ignore_result'] === true) continue;
      const record = revokedRecord({ taskId: id, name: task, queue, run: message.run, doneAt: this.state.clock.now() });
      this.results.putNow([{ ...record, createdAt: message.enqueuedAt, expiresAt: revocation.expiresAt }]);
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
