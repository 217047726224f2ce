import type { WriteStream } from 'node:tty';

const WIDTH = 30;
const BACK_AND_CLEAR = '\r\u001b[K';

/** How far long work has come: a bar on a terminal, which is gone at the end; a line now and then where there is none. */
export class ProgressBar {
  private drawn = false;

  /** `what` stands behind the numbers: `put back`. */
  constructor(
    private readonly total: number,
    private readonly what: string,
    private readonly stream: Pick<WriteStream, 'write' | 'isTTY'> = process.stderr,
  ) {}

  /** So many are done. */
  show(done: number): void {
    const numbers = `${done} of ${this.total} ${this.what}`;
    if (!this.stream.isTTY) {
      this.stream.write(`${numbers}\n`);
      return;
    }
    const filled = this.total === 0 ? WIDTH : Math.min(WIDTH, Math.round((WIDTH * done) / this.total));
    this.stream.write(`${BACK_AND_CLEAR}[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${numbers}`);
    this.drawn = true;
  }

  /** Takes the bar away, for what is printed next. */
  end(): void {
    if (this.drawn) this.stream.write(BACK_AND_CLEAR);
    this.drawn = false;
  }
}
