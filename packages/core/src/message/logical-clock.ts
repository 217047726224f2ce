/** What a sender may claim at most, so that nobody can drive ours to where numbers are not whole any more. */
const LATEST = 2 ** 52;

/**
 * Lamport's logical clock, which Celery's events and commands carry as `clock`: what was caused by something has a greater
 * number than that, whatever the wall clocks say. Celery's monitors order events by it.
 */
export class LogicalClock {
  private value = 0;

  /** Of what was told last; 0 at first. */
  get now(): number {
    return this.value;
  }

  /** The number of what is told next. */
  forward(): number {
    this.value += 1;
    return this.value;
  }

  /** Somebody else's number was heard; what is no number is passed over. */
  adjust(heard: unknown): void {
    if (typeof heard !== 'number' || !Number.isInteger(heard) || heard < 0 || heard > LATEST) return;
    this.value = Math.max(this.value, heard) + 1;
  }
}
