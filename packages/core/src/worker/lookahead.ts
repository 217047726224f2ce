/**
 * How many messages may be leased beyond the idle slots. Leasing ahead makes short tasks fast, but it leases work that
 * cannot start; so only as much is taken as recent run times say will start within the horizon, and nothing at all
 * where runs are long or not known yet.
 */
export class Lookahead {
  private averageMs: number | undefined;
  private samples = 0;

  constructor(
    private readonly options: {
      /** What is leased ahead should start within this time. Default 50 ms. */
      readonly horizonMs?: number;
      /** Never more than this. Default 1 000. */
      readonly most?: number;
    } = {},
  ) {}

  /** A run took so long. */
  observe(runtimeMs: number): void {
    this.samples += 1;
    // Slow runs are believed at once, fast ones by and by: holding too much is worse than fetching once more.
    const weight = this.averageMs === undefined || runtimeMs > this.averageMs ? 0.2 : 0.02;
    this.averageMs = this.averageMs === undefined ? runtimeMs : this.averageMs + weight * (runtimeMs - this.averageMs);
  }

  /** Something leased ahead waited too long: begin to learn anew. */
  reset(): void {
    this.averageMs = undefined;
    this.samples = 0;
  }

  /** How many beyond the idle slots, for `slots` running side by side. */
  size(slots: number): number {
    if (this.averageMs === undefined || this.samples < 10) return 0;
    const horizon = this.options.horizonMs ?? 50;
    return Math.min(this.options.most ?? 1_000, Math.floor((horizon * slots) / Math.max(this.averageMs, 0.01)));
  }
}
