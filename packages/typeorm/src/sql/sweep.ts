/** When to clear away what has expired: now and then, beside other work, a bounded number of rows at a time. */
export class Sweep {
  /** Rows at a time. */
  readonly limit = 1_000;
  private last = performance.now();

  /** Default: once a minute. */
  constructor(private readonly everyMs = 60_000) {}

  isDue(): boolean {
    const now = performance.now();
    if (now - this.last < this.everyMs) return false;
    this.last = now;
    return true;
  }
}
