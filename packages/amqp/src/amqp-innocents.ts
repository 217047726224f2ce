/** Ids that are remembered, at most; the oldest are forgotten first. */
const MOST = 10_000;

/**
 * What this process gave back, or lost together with its connection while it lived on: messages that come back with
 * `redelivered` though no task killed its process. The broker's flag does not tell the one from the other.
 */
export class AmqpInnocents {
  private readonly deliveries = new Map<string, number>();

  /** The message was delivered so often since it was published, this time included, and is to come back. */
  remember(queue: string, id: string, deliveries: number): void {
    if (id === '') return;
    const key = keyOf(queue, id);
    this.deliveries.delete(key);
    this.deliveries.set(key, deliveries);
    if (this.deliveries.size <= MOST) return;
    const [oldest] = this.deliveries.keys();
    if (oldest !== undefined) this.deliveries.delete(oldest);
  }

  /** How often it was delivered, for one that is remembered. */
  look(queue: string, id: string): number | undefined {
    return this.deliveries.get(keyOf(queue, id));
  }

  /** The same; it is forgotten with that. */
  take(queue: string, id: string): number | undefined {
    const key = keyOf(queue, id);
    const deliveries = this.deliveries.get(key);
    if (deliveries !== undefined) this.deliveries.delete(key);
    return deliveries;
  }
}

function keyOf(queue: string, id: string): string {
  return `${queue} ${id}`;
}
