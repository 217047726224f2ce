/** How long work may follow work before the rest of the process has its turn, milliseconds. */
const LONGEST_TURN_MS = 10;

/**
 * SQLite answers at once, so a caller who awaits one call after another never leaves the current turn of the event loop:
 * a loop over ten thousand enqueues would keep an HTTP server silent until its end. Whoever has worked for too long in
 * one turn waits for the next one.
 */
export class FairTurn {
  private began: number | undefined;

  async pass(): Promise<void> {
    if (this.began === undefined) {
      this.began = performance.now();
      setImmediate(() => (this.began = undefined));
    } else if (performance.now() - this.began > LONGEST_TURN_MS) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
