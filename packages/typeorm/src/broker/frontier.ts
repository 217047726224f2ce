import type { RankedRow } from './exchange.js';

/** Place in the line of a queue: everything up to it was taken. */
export interface Place {
  readonly urgency: number;
  readonly id: number;
}

/** Before every place. */
export const BEGINNING: Place = { urgency: -1, id: 0 };

/**
 * A message that comes to stand before the place where we are (released elsewhere, say) is overlooked at most so long,
 * unless looking at the whole line has become slow: then so that it takes a twentieth of the time, at most 5 seconds.
 */
const OVERSIGHT_MS = 250;
const LONGEST_OVERSIGHT_MS = 5_000;
const SHARE_OF_TIME = 20;

/**
 * How far a consumer has come in each queue. Rows that were taken and deleted stay in PostgreSQL's index until a vacuum
 * may remove them, which an idle transaction anywhere in the database prevents; a claim that starts at the beginning
 * of the line would step over more of them every second. So claims start where the last one ended, and look at the
 * whole line a few times a second and whenever something is known to have come to stand further ahead.
 */
export class Frontier {
  private readonly places = new Map<string, Place>();
  private lookedAt = -Infinity;
  private oversightMs = OVERSIGHT_MS;
  private looking = false;

  /** Where to start in each queue. */
  start(queues: readonly string[]): readonly Place[] {
    const now = performance.now();
    this.looking = now - this.lookedAt > this.oversightMs;
    if (this.looking) {
      this.places.clear();
      this.lookedAt = now;
    }
    return queues.map((queue) => this.places.get(queue) ?? BEGINNING);
  }

  /** What a claim has brought. */
  advance(rows: readonly RankedRow[]): void {
    if (this.looking) {
      const tookMs = performance.now() - this.lookedAt;
      this.oversightMs = Math.min(LONGEST_OVERSIGHT_MS, Math.max(OVERSIGHT_MS, tookMs * SHARE_OF_TIME));
      this.looking = false;
    }
    for (const row of rows) {
      // What was lost before stands in a line of its own.
      if (row.lostLeases > 0) continue;
      const { urgency, id } = this.places.get(row.queue) ?? BEGINNING;
      if (row.urgency > urgency || (row.urgency === urgency && row.id > id)) {
        this.places.set(row.queue, { urgency: row.urgency, id: row.id });
      }
    }
  }

  /** The next claim looks at the whole line. */
  reset(): void {
    this.lookedAt = -Infinity;
  }
}
