import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Delivery } from '../ports/delivery.js';
import type { LockStore } from '../ports/lock-store.js';
import type { Rate, RateLimit } from '../task/rate-limit.js';

export interface RateLimiterOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where workers keep a rate together; absent: each for itself. */
  readonly locks: LockStore | undefined;
  /** Of the registered tasks that have one, by task name. */
  readonly limits: ReadonlyMap<string, RateLimit>;
  /** A parked delivery may try again: it goes first in line for a slot, and comes back to `admit`. */
  readonly resume: (delivery: Delivery) => void;
  /** A parked delivery has to wait for longer than it may be held. */
  readonly postpone: (delivery: Delivery, delayMs: number) => void;
}

/** `start` now; `parked`: held here without a slot, and resumed soon; else given back to the broker for so long. */
export type Admission = 'start' | 'parked' | { readonly delayMs: number };

/** A delivery is held without a slot for so long at most, and so many of one task. */
const LONGEST_PARK_MS = 1_000;
const MOST_PARKED = 100;
/** The line of those who are given back and have a place reaches so far. */
const LINE_MS = 60_000;
/** Who has no place in it asks again no sooner, and no later: so that a rate that is raised later is felt. */
const SOONEST_ASK_MS = LINE_MS / 2;
const LATEST_ASK_MS = 600_000;
/** Of a slow task's backlog no more ask again in a second, unless that would take it longer than the latest. */
const LONGEST_BETWEEN_ASKS_MS = 200;
/** Of rates beyond 50 a second, starts may come this much before their instant: timers are no finer. */
const SLACK_MS = 5;
const FINE_INTERVAL_MS = 20;
/** Permits of one key, at most; of a higher rate the period is cut. */
const MOST_PERMITS = 100;
/** After a lock store that does not answer. */
const ASK_AGAIN_MS = 500;

/**
 * Keeps tasks to their rates. What has to wait neither has a slot nor stays leased for long:
 *
 * ```text
 *                  its instant has come, and nobody is before it
 *   a slot is free ─────────────────────────────────────────────► STARTS; the next instant is 1/rate later
 *        ▲  │ not yet
 *        │  ├──within a second, and fewer than 100 wait────► PARKED ──its instant──► first in line for a slot ─┐
 *        │  └──otherwise───► GIVEN BACK to the broker with a delay                                           │
 *        │                    ├─ a place in the line of the next minute ─► comes when it is its turn          │
 *        │                    └─ the line is full ─► asks again, half a minute to ten minutes later           │
 *        └───────────────────────────────────────────────────────────────────────────────────────────────────┘
 * ```
 *
 * Of a rate for this worker, starts are 1/rate apart, as Celery has it, so in no period are there more than the rate says.
 * Those who are given back have places 1/rate apart as well. Beyond the minute nobody has a place: they would have to be
 * remembered, and a rate that is raised would not be felt. They ask again one after the other, twice as often as
 * tasks start, so the line never runs out of them, and a backlog of thousands neither falls due at once nor is turned over all the time.
 *
 * A rate of the cluster is kept in the lock store: a permit is a start, and lives for one period. Asking takes a call, and so
 * such a delivery is PARKED while it is asked for; a slot is waited for after the answer.
 */
export class RateLimiter {
  private readonly limits: Map<string, RateLimit>;
  private readonly lines = new Map<string, Line>();
  private readonly granted = new WeakSet<Delivery>();

  constructor(private readonly options: RateLimiterOptions) {
    this.limits = new Map(options.limits);
  }

  /** Whether any task has a rate: where none has, nobody else need be asked. */
  get isIdle(): boolean {
    return this.limits.size === 0;
  }

  /** The rate of a task, as it is now. */
  of(task: string): RateLimit | undefined {
    return this.limits.get(task);
  }

  /** Changes the rate of a task until this process ends; undefined: none. What is parked is looked at anew. */
  change(task: string, limit: RateLimit | undefined): void {
    if (limit === undefined) this.limits.delete(task);
    else this.limits.set(task, limit);
    const line = this.lines.get(task);
    this.lines.delete(task);
    line?.timer?.cancel();
    const waiting = [...(line?.parked ?? []), ...(line?.asking ?? [])];
    line?.asking.clear();
    for (const delivery of waiting) this.options.resume(delivery);
  }

  /** For a delivery of a task that has a slot now. `permit`: unique among starts, e.g. task id and run. */
  admit(task: string, delivery: Delivery, permit: string): Admission {
    const limit = this.limits.get(task);
    if (limit === undefined || this.granted.delete(delivery)) return 'start';
    const line = this.lineOf(task, limit);
    if (limit.scope === 'cluster' && this.options.locks !== undefined) {
      return this.askCluster(this.options.locks, line, { task, delivery, permit, limit });
    }
    return this.admitHere(line, delivery);
  }

  /** Leased, without a slot. */
  get parked(): readonly Delivery[] {
    return [...this.lines.values()].flatMap((line) => [...line.parked, ...line.asking]);
  }

  /** Takes these out, because they are not ours any more; without an argument all, to be given back. */
  take(deliveries: readonly Delivery[] = this.parked): readonly Delivery[] {
    const taken: Delivery[] = [];
    for (const line of this.lines.values()) {
      for (const delivery of deliveries) {
        const wasParked = line.parked.includes(delivery);
        if (wasParked) line.parked = line.parked.filter((one) => one !== delivery);
        if (line.asking.delete(delivery) || wasParked) taken.push(delivery);
      }
    }
    return taken;
  }

  private lineOf(task: string, limit: RateLimit): Line {
    let line = this.lines.get(task);
    if (line === undefined) {
      const intervalMs = limit.periodMs / limit.count;
      line = {
        intervalMs,
        nextAt: -Infinity,
        backAt: -Infinity,
        askAt: -Infinity,
        parked: [],
        resumed: new WeakSet(),
        asking: new Set(),
      };
      this.lines.set(task, line);
    }
    return line;
  }

  private admitHere(line: Line, delivery: Delivery): Admission {
    const { intervalMs } = line;
    const now = this.options.clock.monotonic();
    const earliest = now + slack(intervalMs);
    const wasResumed = line.resumed.delete(delivery);
    if (line.nextAt <= earliest && (wasResumed || line.parked.length === 0)) {
      line.nextAt = Math.max(line.nextAt, now) + intervalMs;
      this.watch(line);
      return 'start';
    }
    const waitMs = Math.max(0, line.nextAt - now) + (wasResumed ? 0 : line.parked.length * intervalMs);
    if (waitMs > LONGEST_PARK_MS || line.parked.length >= MOST_PARKED)
      return { delayMs: this.placeBehind(line, waitMs) };
    if (wasResumed) line.parked.unshift(delivery);
    else line.parked.push(delivery);
    this.watch(line);
    return 'parked';
  }

  /** For how long one that is given back stays away: until its place in the line, or until it may ask for one again. */
  private placeBehind(line: Line, waitMs: number): number {
    const now = this.options.clock.monotonic();
    const at = Math.max(line.backAt, now + waitMs);
    if (at - now > LINE_MS) return this.askAgainIn(line, now);
    line.backAt = at + line.intervalMs;
    return at - now;
  }

  private askAgainIn(line: Line, now: number): number {
    const at = Math.max(line.askAt, now + SOONEST_ASK_MS);
    const isLast = at - now >= LATEST_ASK_MS;
    line.askAt = isLast ? now + SOONEST_ASK_MS : at + Math.min(line.intervalMs / 2, LONGEST_BETWEEN_ASKS_MS);
    return at - now;
  }

  /** Resumes who is parked when its instant comes. */
  private watch(line: Line): void {
    if (line.timer !== undefined || line.parked.length === 0) return;
    const { clock, resume } = this.options;
    line.timer = clock.timer(Math.max(1, line.nextAt - clock.monotonic()), () => {
      line.timer = undefined;
      const late = clock.monotonic() + slack(line.intervalMs) - line.nextAt;
      // Several at once where they come faster than timers; each of them is asked for its own instant.
      const due = line.parked.splice(0, Math.max(1, Math.floor(late / line.intervalMs) + 1));
      for (const delivery of due) line.resumed.add(delivery);
      for (const delivery of due.reverse()) resume(delivery);
      // Should those not start, because they are given back, the next one's time comes all the same.
      if (line.timer !== undefined || line.parked.length === 0) return;
      line.timer = clock.timer(Math.max(1, line.intervalMs), () => {
        line.timer = undefined;
        this.watch(line);
      });
    });
  }

  private askCluster(locks: LockStore, line: Line, asked: Asked): Admission {
    line.asking.add(asked.delivery);
    void this.ask(locks, asked).then((waitMs) => this.answered(line, asked.delivery, waitMs));
    return 'parked';
  }

  /** Undefined when it may start; else for how long it may not. */
  private async ask(locks: LockStore, { task, permit, limit }: Asked): Promise<number | undefined> {
    const { permits, ttlMs } = permitsOf(limit);
    try {
      const [answer] = await locks.acquire([{ key: `rate:${task}`.slice(0, 255), owner: permit, permits, ttlMs }]);
      return answer?.status === 'held' ? Math.max(1, answer.holder.expiresInMs) : undefined;
    } catch (error) {
      this.options.logger.warn(`The rate of ${task} could not be asked for: ${String(error)}`, 'RateLimiter');
      return ASK_AGAIN_MS;
    }
  }

  private answered(line: Line, delivery: Delivery, waitMs: number | undefined): void {
    // Given back, or lost, while it was asked for.
    if (!line.asking.has(delivery)) return;
    const resume = (): void => {
      if (line.asking.delete(delivery)) this.options.resume(delivery);
    };
    if (waitMs === undefined) {
      this.granted.add(delivery);
      resume();
    } else if (waitMs <= LONGEST_PARK_MS && line.asking.size <= MOST_PARKED) {
      this.options.clock.timer(waitMs, resume, { unref: true });
    } else {
      line.asking.delete(delivery);
      this.options.postpone(delivery, this.placeBehind(line, waitMs));
    }
  }
}

interface Asked {
  readonly task: string;
  readonly delivery: Delivery;
  readonly permit: string;
  readonly limit: RateLimit;
}

/** Of one task. Instants are monotonic. */
interface Line {
  readonly intervalMs: number;
  /** Before it nothing starts. */
  nextAt: number;
  /** The first place in the line of those who are given back that is free. */
  backAt: number;
  /** When the next one without a place asks again. */
  askAt: number;
  parked: Delivery[];
  /** Taken out of `parked` because their instant had come. */
  readonly resumed: WeakSet<Delivery>;
  /** The cluster is asked for these, or was and they are held until they ask again. */
  readonly asking: Set<Delivery>;
  timer?: ClockTimer | undefined;
}

function slack(intervalMs: number): number {
  return intervalMs < FINE_INTERVAL_MS ? SLACK_MS : 0;
}

/** Permits and how long each lives, so that in no period there are more starts than the rate says. */
export function permitsOf({ count, periodMs }: Rate): { readonly permits: number; readonly ttlMs: number } {
  if (count < 1) return { permits: 1, ttlMs: Math.ceil(periodMs / count) };
  const parts = Math.ceil(count / MOST_PERMITS);
  const permits = Math.floor(count / parts);
  return { permits, ttlMs: Math.ceil((periodMs * permits) / count) };
}
