import type { Clock } from '../ambient/clock.js';
import type { LockAnswer, LockHolder, LockPermit, LockRenewal, LockRequest, LockStore } from '../ports/lock-store.js';

interface Permit {
  readonly owner: string;
  readonly token: number;
  endsAt: number;
}

/** The lock port in memory. */
export class MemoryLocks implements LockStore {
  private readonly keys = new Map<string, Permit[]>();
  private lastToken = 0;

  constructor(private readonly clock: Clock) {}

  acquire(requests: readonly LockRequest[]): Promise<readonly LockAnswer[]> {
    return Promise.resolve(requests.map((request) => this.acquireOne(request)));
  }

  renew(renewals: readonly LockRenewal[]): Promise<readonly ('renewed' | 'lost')[]> {
    return Promise.resolve(
      renewals.map((renewal) => {
        const permit = this.held(renewal);
        if (permit === undefined) return 'lost';
        permit.endsAt = this.clock.now() + renewal.ttlMs;
        return 'renewed';
      }),
    );
  }

  release(permits: readonly LockPermit[]): Promise<readonly ('released' | 'lost')[]> {
    return Promise.resolve(
      permits.map((one) => {
        const permit = this.held(one);
        if (permit === undefined) return 'lost';
        this.keep(
          one.key,
          this.live(one.key).filter((other) => other !== permit),
        );
        return 'released';
      }),
    );
  }

  holders(key: string): Promise<readonly LockHolder[]> {
    return Promise.resolve([...this.live(key)].sort((a, b) => a.token - b.token).map((permit) => this.holder(permit)));
  }

  private acquireOne({ key, owner, permits, ttlMs }: LockRequest): LockAnswer {
    const live = this.live(key);
    const endsAt = this.clock.now() + ttlMs;
    const own = live.find((permit) => permit.owner === owner);
    if (own !== undefined) {
      own.endsAt = endsAt;
      return { status: 'acquired', token: own.token };
    }
    // As many must end as are too many by then, us included.
    const inTheWay = live.sort((a, b) => a.endsAt - b.endsAt)[live.length - permits];
    if (inTheWay !== undefined) return { status: 'held', holder: this.holder(inTheWay) };
    this.lastToken += 1;
    this.keep(key, [...live, { owner, token: this.lastToken, endsAt }]);
    return { status: 'acquired', token: this.lastToken };
  }

  private held({ key, owner, token }: LockPermit): Permit | undefined {
    return this.live(key).find((permit) => permit.owner === owner && permit.token === token);
  }

  private live(key: string): Permit[] {
    const now = this.clock.now();
    return (this.keys.get(key) ?? []).filter((permit) => permit.endsAt > now);
  }

  private keep(key: string, permits: Permit[]): void {
    if (permits.length === 0) this.keys.delete(key);
    else this.keys.set(key, permits);
  }

  private holder({ owner, token, endsAt }: Permit): LockHolder {
    return { owner, token, expiresInMs: endsAt - this.clock.now() };
  }
}
