import type { RedisConnection } from './redis-connection.js';

/** The two clocks drift apart by some seconds a day at most. */
const ASK_AGAIN_MS = 600_000;

/**
 * The server's clock, as this process reckons it from the last time it asked: good to some milliseconds, and not moved
 * by a change of this machine's time. It says when a message was accepted; what is decided by time, the server decides.
 */
export class RedisClock {
  private ahead = Date.now() - performance.now();
  private askedAt = -Infinity;

  constructor(private readonly connection: RedisConnection) {}

  /** Epoch milliseconds. */
  now(): number {
    const now = performance.now();
    if (now - this.askedAt > ASK_AGAIN_MS) this.ask().catch(() => undefined);
    return Math.round(now + this.ahead);
  }

  async ask(): Promise<void> {
    const sent = performance.now();
    this.askedAt = sent;
    const [seconds, micros] = (await this.connection.command('time')) as [string, string];
    this.ahead = Number(seconds) * 1_000 + Number(micros) / 1_000 - (sent + performance.now()) / 2;
  }
}
