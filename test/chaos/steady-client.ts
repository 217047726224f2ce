import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from './fleet.js';

/** So many calls are under way at once. */
const LANES = 8;
/** What a task takes, and what a lane rests after a call: one worker keeps up with it, so a backlog is what an outage left. */
const TASK_MS = 20;

/** Sends one task after another, in several lanes, and keeps what became of each call. */
export class SteadyClient {
  readonly accepted: string[] = [];
  readonly rejected: unknown[] = [];
  private readonly acceptedAt: number[] = [];
  private readonly calls = new Map<string, readonly [calledAt: number, acceptedAt: number]>();
  private stopped = false;
  private lanes: Promise<void>[] = [];

  constructor(private readonly fleet: Fleet) {}

  start(): void {
    this.lanes = Array.from({ length: LANES }, () => this.send());
  }

  acceptedSince(instant: number): number {
    return this.acceptedAt.filter((at) => at >= instant).length;
  }

  /** Was this task being called at some time between the two? */
  wasCalling(id: string, since: number, until: number): boolean {
    const [calledAt, acceptedAt] = this.calls.get(id) ?? [Infinity, Infinity];
    return calledAt <= until && acceptedAt >= since;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.lanes);
  }

  private async send(): Promise<void> {
    while (!this.stopped) {
      const calledAt = Date.now();
      try {
        const handle = await this.fleet.sender.sendTask('work', [TASK_MS]);
        this.accepted.push(handle.id);
        this.acceptedAt.push(Date.now());
        this.calls.set(handle.id, [calledAt, Date.now()]);
      } catch (error) {
        this.rejected.push(error);
      }
      await pause(TASK_MS);
    }
  }
}
