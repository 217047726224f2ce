import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Deferred } from '../async/deferred.js';
import { deferred } from '../async/deferred.js';
import { TaskQueueError } from '../errors/errors.js';
import type { SerializerRegistry } from '../message/serializer.js';
import type { Execution, ExecutionControl, ExecutionPool } from '../ports/execution-pool.js';
import type { Outcome } from '../task/task-outcome.js';
import type { SpawnChild } from './child.js';
import type { ChildEnd } from './pooled-child.js';
import { PooledChild } from './pooled-child.js';

export interface ChildPoolOptions {
  readonly kind: 'thread' | 'process';
  /** How many children. */
  readonly size: number;
  readonly spawn: SpawnChild;
  /** A child is replaced after so many tasks. */
  readonly maxTasks: number | undefined;
  /** A child that has more than this after a task is replaced. */
  readonly maxBytes: number | undefined;
  /** Read what children return. */
  readonly serializers: SerializerRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** No child boots any more: nothing will ever run here again. */
  readonly onBroken: (error: Error) => void;
}

/** So many children in a row that end before they were of use, with none that works, and the pool gives up. */
const MOST_USELESS = 5;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** A run that was given while no child was free. */
interface Waiting {
  readonly execution: Execution;
  readonly control: ExecutionControl;
  readonly done: Deferred<Outcome>;
}

/**
 * Children with an application each, one run at a time in each of them, and this side of it: who runs where, who has
 * gone, who comes next. It holds no leases and knows no broker; those stay with the worker, whose event loop no handler
 * ever blocks.
 *
 * ```text
 *   new ─start─► open ──a child is gone──► open: another one is started at once; after a useless end with a pause that
 *                 │                        doubles, from 100 ms to 10 s
 *                 ├──five useless ends in a row, and no child works──► broken (start rejects, or onBroken)
 *                 ├──abandon──► open, nothing runs
 *                 └──close──► closed: idle children close their applications, all others are killed
 * ```
 *
 * What a child was doing when it went is lost with it, and nothing else: it has one run only.
 */
export class ChildPool implements ExecutionPool {
  readonly kind: 'thread' | 'process';
  readonly preemptible = true;
  readonly stuck = 0;
  private readonly children = new Set<PooledChild>();
  private readonly listeners = new Set<() => void>();
  private waiting: Waiting[] = [];
  private limit: number;
  private useless = 0;
  private pause: ClockTimer | undefined;
  private started: Deferred<void> | undefined;
  /** A child was ready once. */
  private opened = false;
  private closed = false;
  private next: Deferred<void> | undefined;

  constructor(private readonly options: ChildPoolOptions) {
    this.kind = options.kind;
    this.limit = options.size;
  }

  get size(): number {
    return this.limit;
  }

  get idle(): number {
    return Math.max(0, this.count('idle') - this.waiting.length);
  }

  /** Resolves when the first child is ready; the others may come later. */
  start(): Promise<void> {
    if (this.started === undefined) {
      this.started = deferred();
      // Whoever stops a pool that starts does not hear of it.
      this.started.promise.catch(() => undefined);
      this.fill();
    }
    return this.started.promise;
  }

  run(execution: Execution, control: ExecutionControl): Promise<Outcome> {
    if (this.closed) return Promise.resolve({ kind: 'interrupted' });
    const child = this.some('idle');
    if (child !== undefined) {
      this.useless = 0;
      return child.start(execution, control);
    }
    const done = deferred<Outcome>();
    this.waiting.push({ execution, control, done });
    return done.promise;
  }

  terminate(execution: Execution): void {
    const verdict: Outcome = { kind: 'timed-out', limitMs: execution.message.timeLimitMs ?? 0 };
    const waiting = this.waiting.find((one) => one.execution === execution);
    if (waiting !== undefined) {
      this.waiting = this.waiting.filter((one) => one !== waiting);
      waiting.done.resolve(verdict);
    }
    for (const child of this.children) if (child.runs(execution)) child.kill(verdict);
  }

  resize(size: number): void {
    this.limit = size;
    this.shrink();
    this.fill();
    this.announce();
  }

  restart(): void {
    for (const child of this.children) child.retire();
    this.fill();
    this.announce();
  }

  processes(): ReadonlyMap<number, Execution | undefined> {
    return new Map(
      [...this.children].flatMap(({ pid, execution }) => (pid === undefined ? [] : [[pid, execution] as const])),
    );
  }

  onIdle(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async abandon(): Promise<void> {
    this.dismissWaiting();
    const busy = [...this.children].filter((child) => child.state === 'busy');
    for (const child of busy) child.kill({ kind: 'interrupted' });
    while (busy.some((child) => child.state !== 'gone')) await this.change();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.pause?.cancel();
    this.listeners.clear();
    this.started?.reject(new Error('The pool was closed while it started.'));
    this.dismissWaiting();
    for (const child of this.children) {
      if (child.state === 'busy') child.kill({ kind: 'interrupted' });
      else child.leave();
    }
    while (this.children.size > 0) await this.change();
  }

  /** Resolves when something has become of a child. */
  private change(): Promise<void> {
    this.next ??= deferred();
    return this.next.promise;
  }

  private tellChange(): void {
    this.next?.resolve();
    this.next = undefined;
  }

  private fill(): void {
    if (this.closed || this.pause !== undefined) return;
    try {
      while (this.present < this.limit) this.children.add(this.spawn());
    } catch (error) {
      this.endedUseless(String(error));
    }
  }

  /** Those that have a place; who leaves has none any more. */
  private get present(): number {
    return this.children.size - this.count('leaving');
  }

  private spawn(): PooledChild {
    const { spawn, clock, serializers, maxTasks, maxBytes } = this.options;
    return new PooledChild({
      spawn,
      clock,
      serializers,
      maxTasks,
      maxBytes,
      onChange: () => this.changed(),
      onGone: (child, end) => this.gone(child, end),
    });
  }

  private changed(): void {
    if (this.count('idle') > 0) {
      this.opened = true;
      this.started?.resolve();
    }
    if (this.closed) {
      for (const child of this.children) child.leave();
      return;
    }
    this.shrink();
    this.fill();
    this.startWaiting();
    this.announce();
  }

  private gone(child: PooledChild, end: ChildEnd): void {
    const { logger } = this.options;
    this.children.delete(child);
    this.tellChange();
    if (this.closed) return;
    if (!end.expected) {
      logger.warn(`${child.name} has ended (${end.reason}); another one is started.`, 'Pool');
      if (end.useless) this.endedUseless(end.reason);
      else this.useless = 0;
    }
    // One that was of use has shown that children boot: it is replaced at once, whatever became of others.
    if (!end.useless) this.endPause();
    this.fill();
  }

  /** Not again at once: what keeps a child from booting mostly keeps the next one from it. */
  private endedUseless(reason: string): void {
    this.useless += 1;
    if (this.useless >= MOST_USELESS && this.count('idle') + this.count('busy') === 0) {
      this.giveUp(reason);
      return;
    }
    this.endPause();
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.useless - 1));
    this.pause = this.options.clock.timer(ms, () => {
      this.pause = undefined;
      this.fill();
    });
  }

  private endPause(): void {
    this.pause?.cancel();
    this.pause = undefined;
  }

  private giveUp(reason: string): void {
    const error = new TaskQueueError({
      code: 'CHILD_BOOT_FAILED',
      message: `The application does not boot in the children of this worker. The last one said: ${reason}`,
      remedy:
        'Of the environment children get only some variables; name others in worker.childEnvironment. The program that calls runWorker is started once for each child.',
      fields: { reason },
    });
    this.started?.reject(error);
    void this.close();
    if (this.opened) this.options.onBroken(error);
  }

  private startWaiting(): void {
    while (this.waiting.length > 0) {
      const child = this.some('idle');
      if (child === undefined) return;
      const { execution, control, done } = this.waiting.shift() as Waiting;
      void child.start(execution, control).then((outcome) => done.resolve(outcome));
    }
  }

  private dismissWaiting(): void {
    for (const { done } of this.waiting.splice(0)) done.resolve({ kind: 'interrupted' });
  }

  private shrink(): void {
    for (let surplus = this.present - this.limit; surplus > 0; surplus -= 1) {
      const child = this.some('booting') ?? this.some('idle');
      if (child === undefined) return;
      child.leave();
    }
  }

  private some(state: PooledChild['state']): PooledChild | undefined {
    for (const child of this.children) if (child.state === state) return child;
    return undefined;
  }

  private count(state: PooledChild['state']): number {
    let count = 0;
    for (const child of this.children) if (child.state === state) count += 1;
    return count;
  }

  private announce(): void {
    for (const listener of this.listeners) listener();
  }
}
