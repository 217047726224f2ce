import type { SqliteStore } from './sqlite-store.js';

/** A look costs about four microseconds. */
const LOOK_EVERY_MS = 20;

/**
 * Notices that another connection, of this process or another one, has committed to the file. Looks only while
 * started, which is while a consumer is there.
 */
export class SqliteWatch {
  private timer: NodeJS.Timeout | undefined;
  private version: number | undefined;

  constructor(
    private readonly store: SqliteStore,
    private readonly onChange: () => void,
  ) {}

  start(): void {
    this.timer ??= setInterval(() => this.look(), LOOK_EVERY_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private look(): void {
    let version: number;
    try {
      version = this.store.dataVersion();
    } catch {
      // Locked for a moment, or closed meanwhile; consumers also look by themselves.
      return;
    }
    if (version === this.version) return;
    // The first look says so too: nobody knows what was committed before it.
    this.version = version;
    this.onChange();
  }
}
