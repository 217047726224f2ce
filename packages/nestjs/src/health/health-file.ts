import { rmSync } from 'node:fs';
import { rm, utimes, writeFile } from 'node:fs/promises';
import type { Clock, ClockTimer, Logger } from '@taskqueue/core';

export interface HealthFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const TOUCH_EVERY_MS = 5_000;

/**
 * A file whose time of change says that the event loop turns, for probes that run a command instead of asking by HTTP:
 *
 * ```text
 *   start: made ──every 5 s──► touched (made again where somebody deleted it) ──close, or exit──► removed
 * ```
 *
 * Only a process that is killed leaves it behind, with a time that grows old.
 */
export class HealthFile {
  private timer: ClockTimer | undefined;
  private failed = false;
  private closed = false;
  private readonly atExit = (): void => rmSync(this.options.path, { force: true });

  constructor(private readonly options: HealthFileOptions) {}

  /** Rejects with the error of the system when the file cannot be written. */
  async start(): Promise<void> {
    await this.write();
    process.once('exit', this.atExit);
    this.next();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    process.off('exit', this.atExit);
    await rm(this.options.path, { force: true });
  }

  private next(): void {
    if (this.closed) return;
    this.timer = this.options.clock.timer(TOUCH_EVERY_MS, () => void this.touch(), { unref: true });
  }

  private async touch(): Promise<void> {
    this.next();
    try {
      const now = this.options.clock.now() / 1_000;
      await utimes(this.options.path, now, now).catch(() => (this.closed ? undefined : this.write()));
      this.failed = false;
    } catch (error) {
      // Once, not every five seconds: the supervisor will notice.
      if (!this.failed) this.options.logger.warn(`The health file cannot be touched: ${String(error)}`, 'TaskQueue');
      this.failed = true;
    }
  }

  private async write(): Promise<void> {
    await writeFile(this.options.path, `${process.pid}\n`);
  }
}
