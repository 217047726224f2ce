import type { Deferred } from './deferred.js';
import { deferred } from './deferred.js';

/** What a {@link Coalescer} sends with, and how much at once. */
export interface CoalescerOptions<Item, Answer> {
  /** Sends a batch; answers in order. Never rejects. */
  readonly send: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** Calls under way at once, at most. */
  readonly calls: number;
}

interface Waiting<Item, Answer> {
  readonly items: readonly Item[];
  readonly answers: Deferred<readonly Answer[]>;
}

const LARGEST_BATCH = 500;
/** A second call is worth while only for a batch of this size; smaller ones wait for the call under way. */
const SMALLEST_SECOND_BATCH = 16;

/**
 * Sends items in few calls: the first goes at once; what comes while calls are under way rides together in the next one, at
 * most 500 of them, and what was added together is never parted. A promise resolves with the answers to its own items.
 */
export class Coalescer<Item, Answer> {
  private waiting: Waiting<Item, Answer>[] = [];
  private count = 0;
  private calls = 0;
  private scheduled = false;

  constructor(private readonly options: CoalescerOptions<Item, Answer>) {}

  add(items: readonly Item[]): Promise<readonly Answer[]> {
    const answers = deferred<readonly Answer[]>();
    this.waiting.push({ items, answers });
    this.count += items.length;
    if (this.calls === 0) this.schedule();
    else if (this.calls < this.options.calls && this.count >= SMALLEST_SECOND_BATCH) this.schedule();
    return answers.promise;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      void this.flush();
    });
  }

  private async flush(): Promise<void> {
    if (this.waiting.length === 0 || this.calls >= this.options.calls) return;
    const batch = this.take();
    this.calls += 1;
    const answers = await this.options.send(batch.flatMap((one) => one.items));
    this.calls -= 1;
    let index = 0;
    for (const one of batch) {
      one.answers.resolve(answers.slice(index, index + one.items.length));
      index += one.items.length;
    }
    void this.flush();
  }

  private take(): Waiting<Item, Answer>[] {
    let size = 0;
    const end = this.waiting.findIndex((one) => (size += one.items.length) > LARGEST_BATCH);
    const batch = end < 0 ? this.waiting : this.waiting.slice(0, Math.max(1, end));
    this.waiting = this.waiting.slice(batch.length);
    for (const one of batch) this.count -= one.items.length;
    return batch;
  }
}
