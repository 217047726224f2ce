/** A queue that did not confirm is tried again after this long, with one message. */
const TRY_AGAIN_MS = 10_000;

/**
 * Queues for delayed messages that confirm nothing, because they have no leader. Whoever sends there is refused at once instead
 * of waiting for nothing, and does not clog the connection for others:
 *
 * ```text
 *   GOOD ──no confirmation in time──► SILENT ──after 10 s: one message goes through──► (tried) ──confirmed──► GOOD
 *                                        ▲                                                │
 *                                        └───────────────no confirmation in time──────────┘
 * ```
 */
export class AmqpSilentQueues {
  private readonly tryAgainAt = new Map<string, number>();

  constructor(private readonly confirmTimeoutMs: number) {}

  /** May a message be sent there? For a silent queue: yes once in a while. `now` is monotonic. */
  admits(queue: string, now: number): boolean {
    const at = this.tryAgainAt.get(queue);
    if (at === undefined) return true;
    if (now < at) return false;
    this.tryAgainAt.set(queue, now + this.confirmTimeoutMs + TRY_AGAIN_MS);
    return true;
  }

  /** It did not confirm in time. */
  add(queue: string, now: number): void {
    this.tryAgainAt.set(queue, now + TRY_AGAIN_MS);
  }

  /** It has confirmed, or was declared again. */
  remove(queue: string): void {
    this.tryAgainAt.delete(queue);
  }
}
