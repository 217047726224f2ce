import type { Logger } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys } from './redis-keys.js';

export interface RedisDelayOptions {
  readonly connection: RedisConnection;
  readonly logger: () => Logger;
}

/** Somebody who waits for work. */
export interface Bell {
  readonly queues: readonly QueueKeys[];
  /** There may be work. */
  ring(): void;
}

/** Messages made ready by one call, at most; fewer where they are long. */
const BATCH = 500;
/** Queues of one call, at most. */
const QUEUES = 20;
/** Shortest time between two looks; gathers what falls due one after another. */
const GATHER_MS = 5;
/** Longest time between two looks. */
const LOOK_MS = 1_000;
/** The same where nobody consumes: workers are quicker, where there are any. */
const PRODUCER_GATHER_MS = 100;
const PRODUCER_LOOK_MS = 10_000;

/**
 * Makes delayed messages ready when they fall due. Any number of processes may do it; each message is moved once, by
 * one script, whoever comes first. It looks at the queues that are consumed here, and more seldom at those that are sent
 * to from here, as Python may be the only one to consume them:
 *
 * ```text
 *   STOPPED ──first queue──► LOOKING (move what is due) ──► SLEEPING until the next due instant, at most LOOK_MS
 *                               ▲                              │ a message that falls due sooner was sent from here,
 *                               └──────────────────────────────┘ or an exchange told of one
 * ```
 *
 * One that is sent by another process and falls due sooner rings the marker of its queue: a sleeping consumer looks,
 * and learns from its exchange when the next one is due. Should that process die, others look within LOOK_MS. The look
 * also finds work whose wake-up was lost, for instance one that Python sent where Redis does not tell us of changes.
 */
export class RedisDelay {
  private readonly bells = new Set<Bell>();
  private readonly watched = new Set<QueueKeys>();
  private timer: NodeJS.Timeout | undefined;
  private wakeAt = Infinity;
  private looking: Promise<void> | undefined;
  private soonest = Infinity;
  private failing = false;
  private closed = false;

  constructor(private readonly options: RedisDelayOptions) {}

  /** Calls `bell` when there may be work in its queues, until the returned function is called. */
  attach(bell: Bell): () => void {
    this.bells.add(bell);
    this.lookWithin(0);
    return () => this.bells.delete(bell);
  }

  /** Looks at this queue from now on: it is sent to from here. */
  watch(queue: QueueKeys): void {
    this.watched.add(queue);
    this.lookWithin(0);
  }

  /** Delayed messages were sent from here. */
  published(messages: readonly { readonly due: string }[]): void {
    let soonest = Infinity;
    for (const { due } of messages) {
      const ms = due.startsWith('+') ? Number(due.slice(1)) : due === '' ? 0 : Number(due) - Date.now();
      soonest = Math.min(soonest, ms);
    }
    this.lookWithin(soonest);
  }

  /** A message falls due in `ms`. */
  lookWithin(ms: number): void {
    if (this.closed) return;
    if (this.looking !== undefined) this.soonest = Math.min(this.soonest, ms);
    else if (performance.now() + ms < this.wakeAt - 1) this.sleep(ms);
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.looking;
  }

  private sleep(ms: number): void {
    clearTimeout(this.timer);
    this.wakeAt = performance.now() + ms;
    this.timer = setTimeout(() => {
      this.looking = this.look().then((pause) => {
        this.looking = undefined;
        this.wakeAt = Infinity;
        const next = Math.min(pause, this.soonest);
        this.soonest = Infinity;
        if (!this.closed && this.bells.size + this.watched.size > 0) this.sleep(next);
      });
    }, ms);
    this.timer.unref();
  }

  /** Answers in how many milliseconds to look again. */
  private async look(): Promise<number> {
    const [shortest, longest] = this.bells.size > 0 ? [GATHER_MS, LOOK_MS] : [PRODUCER_GATHER_MS, PRODUCER_LOOK_MS];
    try {
      const answers = await Promise.all(this.groups().map((queues) => this.promote(queues)));
      this.failing = false;
      if (answers.some(({ ready }) => ready > 0)) for (const bell of this.bells) bell.ring();
      if (answers.some(({ more }) => more)) return 0;
      const next = Math.min(...answers.map(({ nextInMs }) => nextInMs));
      return Math.min(longest, Math.max(shortest, next));
    } catch (error) {
      if (!this.failing && !this.closed) {
        const message = `Looking for due messages failed and is tried again: ${String(error)}`;
        this.options.logger().warn(message, 'TaskQueue');
      }
      this.failing = true;
      return LOOK_MS;
    }
  }

  private groups(): QueueKeys[][] {
    const queues = new Set([...this.watched, ...[...this.bells].flatMap((bell) => bell.queues)]);
    const size = this.options.connection.isCluster ? 1 : QUEUES;
    const groups: QueueKeys[][] = [];
    for (const queue of queues) {
      const last = groups.at(-1);
      if (last === undefined || last.length >= size) groups.push([queue]);
      else last.push(queue);
    }
    return groups;
  }

  private async promote(queues: readonly QueueKeys[]): Promise<Look> {
    const keys = queues.flatMap((queue) => [
      ...queue.ready,
      queue.suspects,
      queue.delayed,
      queue.delayedMessages,
      queue.ids,
      queue.state,
      queue.wake,
    ]);
    const answer = (await this.options.connection.run('promote', keys, [BATCH])) as [number, number, number, 0 | 1];
    const [, nextInMs, ready, more] = answer;
    return { nextInMs: nextInMs < 0 ? Infinity : nextInMs, ready, more: more === 1 };
  }
}

/** What a look at some queues has found. */
interface Look {
  readonly nextInMs: number;
  /** How many messages are ready. */
  readonly ready: number;
  /** More may have fallen due than one call makes ready. */
  readonly more: boolean;
}
