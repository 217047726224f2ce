import type { Clock } from '../ambient/clock.js';
import type { Arrival, ArrivalAnswer, Barrier, BarrierStore } from '../ports/barrier-store.js';

interface OpenBarrier extends Barrier {
  readonly members: Set<string>;
  completedBy: string | undefined;
  endsAt: number;
}

/** The barrier port in memory. */
export class MemoryBarriers implements BarrierStore {
  private readonly barriers = new Map<string, OpenBarrier>();

  constructor(private readonly clock: Clock) {}

  open(barriers: readonly Barrier[]): Promise<void> {
    for (const barrier of barriers) {
      if (this.find(barrier.id) !== undefined) continue;
      const endsAt = this.clock.now() + barrier.ttlMs;
      this.barriers.set(barrier.id, { ...barrier, members: new Set(), completedBy: undefined, endsAt });
    }
    return Promise.resolve();
  }

  arrive(arrivals: readonly Arrival[]): Promise<readonly (ArrivalAnswer | undefined)[]> {
    return Promise.resolve(arrivals.map((arrival) => this.arriveOne(arrival)));
  }

  discard(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.barriers.delete(id);
    return Promise.resolve();
  }

  private arriveOne({ id, memberId }: Arrival): ArrivalAnswer | undefined {
    const barrier = this.find(id);
    if (barrier === undefined) return undefined;
    const { members, size, body } = barrier;
    barrier.endsAt = this.clock.now() + barrier.ttlMs;
    if (!members.has(memberId)) {
      members.add(memberId);
      if (members.size === size) barrier.completedBy = memberId;
    }
    const arrived = members.size;
    return barrier.completedBy === memberId
      ? { completed: true, arrived, size, body }
      : { completed: false, arrived, size };
  }

  private find(id: string): OpenBarrier | undefined {
    const barrier = this.barriers.get(id);
    if (barrier === undefined || barrier.endsAt > this.clock.now()) return barrier;
    this.barriers.delete(id);
    return undefined;
  }
}
