import type { Delivery } from '../ports/delivery.js';

export interface ConsumedQueuesOptions {
  /** In order of preference. */
  readonly queues: readonly string[];
  /** Queue → how many of its messages this worker may hold. */
  readonly limits?: Readonly<Record<string, number>> | undefined;
  readonly order?: 'strict' | 'weighted';
  /** Of those that are not named: 1. */
  readonly weights?: Readonly<Record<string, number>> | undefined;
}

/** What to ask the broker for. `queues` is absent where it is what the subscription says. */
export interface ReceivePlan {
  readonly max: number;
  readonly queues?: readonly string[];
}

/**
 * From which queues a worker takes now, in which order, and how much of each. A queue with a limit is left out while so many
 * of its messages are here, buffered or running or ended and not settled yet; and no request is larger than the least room of
 * the queues that it names, so nothing is leased that may not start.
 *
 * `strict`: as listed; a queue gets its turn when those before it are empty. `weighted`: the queue that has had least for its
 * weight goes first (stride scheduling). Over many tasks each of the queues that have work gets its share, however large
 * the requests are, and one that was empty for a while has no claim on what it has not used.
 */
export class ConsumedQueues {
  private list: readonly string[];
  private isAsSubscribed = true;
  private readonly held = new Map<string, Set<Delivery>>();
  /** Queue → what it has had, by its weight, in the weighted order. Only the differences count. */
  private readonly had = new Map<string, number>();
  private asked: readonly string[] = [];

  constructor(private readonly options: ConsumedQueuesOptions) {
    this.list = options.queues;
    for (const queue of Object.keys(options.limits ?? {})) this.held.set(queue, new Set());
    this.isAsSubscribed = this.held.size === 0 && options.order !== 'weighted';
  }

  get names(): readonly string[] {
    return this.list;
  }

  /** False when it is among them. */
  add(queue: string): boolean {
    if (this.list.includes(queue)) return false;
    this.isAsSubscribed = false;
    this.list = [...this.list, queue];
    return true;
  }

  /** False when it is not among them. */
  cancel(queue: string): boolean {
    if (!this.list.includes(queue)) return false;
    this.isAsSubscribed = false;
    this.list = this.list.filter((one) => one !== queue);
    return true;
  }

  /** Undefined when nothing may be taken from anywhere. */
  plan(want: number): ReceivePlan | undefined {
    if (this.isAsSubscribed) return { max: want };
    const open = this.list.filter((queue) => this.room(queue) > 0);
    if (open.length === 0) return undefined;
    const max = Math.min(want, ...open.map((queue) => this.room(queue)));
    this.asked = this.options.order === 'weighted' ? this.byShare(open) : open;
    return { max, queues: this.asked };
  }

  /** Whether it is taken from. What was asked for before it was cancelled may come after. */
  has(queue: string): boolean {
    return this.isAsSubscribed || this.list.includes(queue);
  }

  /** How many more of it may be here. */
  room(queue: string): number {
    const held = this.held.get(queue);
    return held === undefined ? Infinity : Math.max(0, (this.options.limits?.[queue] ?? Infinity) - held.size);
  }

  /** These have come. */
  hold(deliveries: readonly Delivery[]): void {
    if (this.isAsSubscribed) return;
    for (const delivery of deliveries) this.held.get(delivery.queue)?.add(delivery);
    if (this.options.order === 'weighted' && deliveries.length > 0) this.charge(deliveries);
  }

  /** This one is settled, given back or lost. True when its queue had no room before, and has now. */
  end(delivery: Delivery): boolean {
    const held = this.held.get(delivery.queue);
    if (held === undefined) return false;
    const wasFull = this.room(delivery.queue) === 0;
    return held.delete(delivery) && wasFull && this.list.includes(delivery.queue);
  }

  private weight(queue: string): number {
    return this.options.weights?.[queue] ?? 1;
  }

  private charge(deliveries: readonly Delivery[]): void {
    const first = this.asked.findIndex((queue) => deliveries.some((delivery) => delivery.queue === queue));
    // Those before it are empty, and do not save up.
    const had = this.hadOf(this.asked[first] ?? '');
    for (const queue of this.asked.slice(0, first)) this.had.set(queue, Math.max(had, this.hadOf(queue)));
    for (const { queue } of deliveries) this.had.set(queue, this.hadOf(queue) + 1 / this.weight(queue));
  }

  /** One that is new has no claim on the time before it. */
  private hadOf(queue: string): number {
    let had = this.had.get(queue);
    if (had === undefined) this.had.set(queue, (had = Math.min(...this.had.values(), Infinity)));
    if (had === Infinity) this.had.set(queue, (had = 0));
    return had;
  }

  private byShare(queues: readonly string[]): readonly string[] {
    return [...queues].sort((a, b) => this.hadOf(a) - this.hadOf(b) || this.weight(b) - this.weight(a));
  }
}
