import { Worker as Thread } from 'node:worker_threads';
import type { Clock } from '../ambient/clock.js';
import { compiledModule } from '../ambient/compiled-module.js';
import type { Logger } from '../ambient/logger.js';
import type { Repeat } from '../async/repeat.js';
import { repeat } from '../async/repeat.js';
import type { Consumer, KeepAlive } from '../ports/broker.js';
import type { Delivery } from '../ports/delivery.js';
import type { LeaseThreadMessage } from './lease-thread.js';

export interface LeaseKeeperOptions {
  readonly consumer: Consumer;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for deliveries that someone else owns now. */
  readonly onLost: (deliveries: readonly Delivery[]) => void;
}

/** A thread that was asked to end is terminated after this. */
const THREAD_STOP_MS = 3_000;

/**
 * Keeps the leases of what this worker holds. Renewal must not depend on the handlers' event loop: a handler that
 * computes for a minute must not lose its lease, or the task runs twice. So a thread renews where the driver offers a
 * way (`Consumer.keepAlive`); the main thread only looks whether the leases still stand, every third of a lease.
 *
 * ```text
 *   hold ──► held ──forget──► (nothing)
 *              │  every leaseMs/3: extend on this thread, renew on the other one
 *              └──store says lost, or no renewal for leaseMs──► onLost
 * ```
 *
 * A frozen or dead process renews nothing on any thread, and loses its leases within `leaseMs`.
 */
export class LeaseKeeper {
  private readonly held = new Set<Delivery>();
  private thread: Thread | undefined;
  private threadFor: KeepAlive | undefined;
  private loop: Repeat | undefined;
  private lastExtendedAt = 0;
  private lookedAt = 0;
  /** When this thread went on after it had stood still for longer than a lease. */
  private stoodStillUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: LeaseKeeperOptions) {}

  start(): void {
    const { clock, leaseMs, logger } = this.options;
    this.lookedAt = clock.monotonic();
    this.loop = repeat({
      clock,
      step: async () => {
        this.look();
        await this.extend();
        // Before there is a task to hold: the first one may block this thread, and the other one takes its time to start.
        this.keepThread();
        return leaseMs / 3;
      },
      onError: (error) => logger.warn(`Renewing leases failed and is tried again: ${String(error)}`, 'LeaseKeeper'),
      maxBackoffMs: Math.max(100, leaseMs / 6),
    });
  }

  hold(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.held.add(delivery);
    this.keepThread();
  }

  forget(delivery: Delivery): void {
    this.held.delete(delivery);
  }

  /** How many deliveries are held: buffered, running, or ended and not settled yet. */
  get count(): number {
    return this.held.size;
  }

  /** Monotonic time before which the store last confirmed the leases. */
  get extendedAt(): number {
    return this.lastExtendedAt;
  }

  /**
   * Has this thread stood still for longer than a lease at some time since then? What the store has leased to us
   * meanwhile may belong to someone else by now, and not be known here yet.
   */
  stoodStillSince(instant: number): boolean {
    this.look();
    return instant < this.stoodStillUntil;
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
    await this.stopThread();
  }

  /** Renews now. Also what was away for a while does so before it declares others dead, and itself with them. */
  async extend(): Promise<void> {
    const deliveries = [...this.held];
    if (deliveries.length === 0) return;
    const askedAt = this.options.clock.monotonic();
    const outcomes = await this.options.consumer.extend(deliveries, this.options.leaseMs);
    this.lastExtendedAt = askedAt;
    const lost = deliveries.filter((delivery, index) => outcomes[index] === 'lost' && this.held.has(delivery));
    if (lost.length === 0) return;
    for (const delivery of lost) this.held.delete(delivery);
    this.options.onLost(lost);
  }

  private look(): void {
    const now = this.options.clock.monotonic();
    if (now - this.lookedAt > this.options.leaseMs) this.stoodStillUntil = now;
    this.lookedAt = now;
  }

  /** The driver's data changes when its consumer had to register anew, and then so does the thread. */
  private keepThread(): void {
    const wanted = this.options.consumer.keepAlive;
    if (wanted === this.threadFor) return;
    void this.stopThread();
    this.threadFor = wanted;
    if (wanted === undefined) return;
    const thread = new Thread(compiledModule(import.meta.url, './lease-thread.js'), {
      workerData: { keepAlive: wanted, leaseMs: this.options.leaseMs },
      // The thread needs none of the parent's flags, and inspectors and loaders among them would break it.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    thread.unref();
    thread.on('message', (message: LeaseThreadMessage) => this.hear(message));
    thread.on('error', (error) => {
      this.options.logger.error('The lease thread failed; this thread renews alone.', error.stack, 'LeaseKeeper');
    });
    this.thread = thread;
  }

  private hear(message: LeaseThreadMessage): void {
    // Which deliveries are lost the store says to `extend`; the thread knows of the consumer as a whole only.
    if (message.type === 'lost') this.loop?.wake();
    else this.options.logger.warn(`The lease thread cannot renew: ${message.error}`, 'LeaseKeeper');
  }

  /** Asks the thread to end; only one that does not is terminated. */
  private async stopThread(): Promise<void> {
    const thread = this.thread;
    this.thread = undefined;
    this.threadFor = undefined;
    if (thread === undefined || thread.threadId === -1) return;
    const exited = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    thread.postMessage('stop');
    const patience = new AbortController();
    const tooLong = this.options.clock.sleep(THREAD_STOP_MS, patience.signal).then(
      () => thread.terminate(),
      () => undefined,
    );
    await Promise.race([exited, tooLong]);
    patience.abort();
  }
}
