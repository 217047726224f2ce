import type { Logger } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys } from './redis-keys.js';
import type { RedisSubscriber } from './redis-subscriber.js';

export interface RedisForeignWatchOptions {
  readonly connection: RedisConnection;
  readonly subscriber: RedisSubscriber;
  readonly logger: () => Logger;
}

/** Somebody who has waited for a while. */
export interface Waiter {
  readonly queues: readonly QueueKeys[];
  /** There may be work. */
  readonly ring: () => void;
}

/** Where Redis tells of changes to what a connection has read. */
const INVALIDATIONS = '__redis__:invalidate';
/** Queues of one call, at most. */
const QUEUES = 100;
/** A change is looked into after this; later where the last looks brought nothing, because others were quicker. */
const FIRST_DELAY_MS = 2;
const LONGEST_DELAY_MS = 500;
/** After so long without a change, the next one is looked into at once again. */
const CALM_MS = 2_000;

/**
 * Tells waiting consumers that somebody pushed into the list of a queue without ringing for it, as Kombu does. Redis
 * itself tells us, whatever its notification settings: client-side caching reports once when a key changes that a
 * connection has read. So when a consumer has waited for a while, the lengths of its lists are read in that mode, and
 * read again when one has changed.
 *
 * ```text
 *   OFF ──first waiter──► ON: lengths read ──changed──► a moment later: lengths read ──► …
 *                             └─ longer than before: ring                └─ the same
 * ```
 *
 * Our own publications change the lists too, for every sleeping process: whom their bell did not wake reads a few
 * lengths, ever more seldom while that brings nothing. Where the server does not offer it, or the user may not use it,
 * such messages are found by the next look of RedisDelay, within a second.
 */
export class RedisForeignWatch {
  private state: 'off' | 'on' | 'unsupported' = 'off';
  private readonly waiters = new Set<Waiter>();
  private readonly seen = new Map<QueueKeys, number>();
  private timer: NodeJS.Timeout | undefined;
  private delayMs = FIRST_DELAY_MS;
  private changedAt = 0;
  private stopListening: (() => void)[] = [];

  constructor(private readonly options: RedisForeignWatchOptions) {
    // Each node would have to report to a connection of its own; and Kombu does not use clusters.
    if (options.connection.isCluster) this.state = 'unsupported';
  }

  /** Rings for changes until the returned function is called. */
  watch(waiter: Waiter): () => void {
    this.waiters.add(waiter);
    if (this.state === 'off') this.start();
    else if (this.state === 'on') this.look(0);
    return () => {
      this.waiters.delete(waiter);
    };
  }

  close(): void {
    this.state = 'unsupported';
    clearTimeout(this.timer);
    for (const stop of this.stopListening) stop();
  }

  private start(): void {
    const { subscriber, connection } = this.options;
    this.state = 'on';
    const redirect = (): void => void this.redirect().catch((error: unknown) => this.giveUp(error));
    this.stopListening = [subscriber.onListening(redirect), connection.onReconnect(redirect)];
    subscriber
      .subscribe(INVALIDATIONS, () => this.changed())
      .then(redirect, (error: unknown) => {
        this.giveUp(error);
        if (this.state === 'on') this.stop();
      });
  }

  /** Until somebody waits again. */
  private stop(): void {
    this.state = 'off';
    for (const stop of this.stopListening) stop();
  }

  /** What the main connection has read is reported to the one that listens. Both may have been made anew. */
  private async redirect(): Promise<void> {
    const { connection, subscriber } = this.options;
    const { id } = subscriber;
    if (id === undefined || this.state !== 'on') return;
    // The script must be known before: only the command right behind the request is watched.
    await connection.run('lengths', []);
    await connection.commands([
      ['client', 'tracking', 'off'],
      ['client', 'tracking', 'on', 'redirect', id, 'optin'],
    ]);
    this.look(0);
  }

  private giveUp(error: unknown): void {
    if (this.state !== 'on') return;
    const isRefused = !(error instanceof Error && 'retryable' in error && error.retryable === true);
    // What cannot be reached is tried again when the connections are.
    if (!isRefused) return;
    this.close();
    const reason = error instanceof Error ? error.message : String(error);
    this.options.logger().debug(`Messages of others are looked for once a second: ${reason}`, 'TaskQueue');
  }

  private changed(): void {
    const now = performance.now();
    if (now - this.changedAt > CALM_MS) this.delayMs = FIRST_DELAY_MS;
    this.changedAt = now;
    this.look(this.delayMs);
  }

  private look(ms: number): void {
    if (this.timer !== undefined || this.waiters.size === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.read().catch(() => undefined);
    }, ms);
    this.timer.unref();
  }

  /** Reads the lengths so that their next change is reported, and rings where there is something new. */
  private async read(): Promise<void> {
    const queues = [...new Set([...this.waiters].flatMap((waiter) => waiter.queues))];
    if (queues.length === 0) return;
    const groups = Array.from({ length: Math.ceil(queues.length / QUEUES) }, (_, index) =>
      queues.slice(index * QUEUES, (index + 1) * QUEUES),
    );
    const lengths = (await Promise.all(groups.map((group) => this.lengths(group)))).flat();
    const fresh = new Set(queues.filter((queue, index) => this.isNews(queue, lengths[index] as number)));
    this.delayMs = fresh.size > 0 ? FIRST_DELAY_MS : Math.min(LONGEST_DELAY_MS, this.delayMs * 2);
    for (const waiter of this.waiters) if (waiter.queues.some((queue) => fresh.has(queue))) waiter.ring();
  }

  /** What stays as long as it was is not for us: the queue is paused, say. */
  private isNews(queue: QueueKeys, length: number): boolean {
    const isNews = length > 0 && length !== this.seen.get(queue);
    this.seen.set(queue, length);
    return isNews;
  }

  private async lengths(queues: readonly QueueKeys[]): Promise<readonly number[]> {
    const [, lengths] = await Promise.all([
      this.options.connection.command('client', 'caching', 'yes'),
      this.options.connection.run(
        'lengths',
        queues.flatMap((queue) => queue.ready),
      ),
    ]);
    return lengths as number[];
  }
}
