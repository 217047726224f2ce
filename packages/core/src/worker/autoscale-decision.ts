import type { AutoscaleRange } from '../config/autoscale.js';

/** What is seen of a pool at one instant. */
export interface PoolSample {
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly size: number;
  /** The most tasks that ran at once since the last sample. */
  readonly busy: number;
  /** Tasks that wait in the queues, or here for a slot, while all slots are in use; else 0. */
  readonly waiting: number;
}

/** What is remembered from one sample to the next. */
export interface ScaleMemory {
  /** The last sample saw tasks wait. */
  readonly sawWaiting: boolean;
  /** Since when nothing has waited, or the size was last changed. */
  readonly calmSince: number;
  /** The most that ran at once since then. */
  readonly peak: number;
  /** So long it has to be calm before the pool shrinks. */
  readonly quietMs: number;
  readonly shrunkAt: number;
}

export interface ScaleDecision {
  readonly size: number;
  readonly memory: ScaleMemory;
}

export interface ScaleOptions extends AutoscaleRange {
  /** Calm before the first shrinking. Default 30 s, as in Celery. */
  readonly quietMs?: number;
}

const QUIET_MS = 30_000;
/** Shrinking that was regretted is put off for longer, at most so long. */
const LONGEST_QUIET_MS = 600_000;

export function firstMemory(at: number, { quietMs = QUIET_MS }: Pick<ScaleOptions, 'quietMs'> = {}): ScaleMemory {
  return { sawWaiting: false, calmSince: at, peak: 0, quietMs, shrunkAt: -Infinity };
}

/**
 * How large a pool should be, from what was seen of it. Pure.
 *
 * ```text
 *            tasks wait in two samples running: as many slots more as tasks wait
 *   STEADY ──────────────────────────────────────────────────────────────────────► grown
 *     │ nothing waited for quietMs, and two slots or more were never used
 *     └───────────────────────────────────────────────────────────────────────────► shrunk, to what was used and one more
 * ```
 *
 * Two samples, so that a burst that is over in a moment changes nothing. One spare slot, so that what was just enough is not
 * followed by waiting. Whoever has to grow soon after he shrank has shrunk too early: the next time it has to be quiet for
 * twice as long. So a load that comes and goes settles at the size that it needs.
 */
export function decideSize(sample: PoolSample, memory: ScaleMemory, options: ScaleOptions): ScaleDecision {
  const { max, min, quietMs: shortest = QUIET_MS } = options;
  const { at, size, busy, waiting } = sample;
  const within = Math.min(max, Math.max(min, size));
  if (within !== size) return { size: within, memory: { ...memory, sawWaiting: false, calmSince: at, peak: busy } };
  if (waiting > 0) {
    const rest = { ...memory, sawWaiting: true, calmSince: at, peak: busy };
    if (!memory.sawWaiting || size >= max) return { size, memory: rest };
    const isRegretted = at - memory.shrunkAt < 2 * memory.quietMs;
    const quietMs = isRegretted ? Math.min(LONGEST_QUIET_MS, 2 * memory.quietMs) : shortest;
    return { size: Math.min(max, size + waiting), memory: { ...rest, sawWaiting: false, quietMs } };
  }
  const peak = Math.max(memory.peak, busy);
  const calm = { ...memory, sawWaiting: false, peak };
  if (at - memory.calmSince < memory.quietMs) return { size, memory: calm };
  const target = Math.max(min, peak + 1);
  const next = { ...calm, calmSince: at, peak: busy };
  if (target >= size) return { size, memory: next };
  return { size: target, memory: { ...next, shrunkAt: at } };
}
