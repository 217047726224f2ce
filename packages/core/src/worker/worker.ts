import { hostname } from 'node:os';
import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { serializerFrom } from '../message/wire-format.js';
import { InlinePool } from '../pools/inline-pool.js';
import { TaskRunner } from '../pools/task-runner.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { Stores } from '../ports/stores.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { InterruptReason } from './executor.js';
import { taskLog } from './task-log.js';
import type { WorkerServices } from './worker-services.js';
import { composeServices } from './worker-services.js';
import type { WorkerEvent, WorkerEvents, WorkerListener } from './worker-events.js';

export interface WorkerOptions {
  readonly stores: Stores;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly logger: Logger;
  readonly clock: Clock;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
}

/** What a worker says of itself. */
export interface WorkerStatus {
  readonly name: string;
  readonly state: WorkerState;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly active: number;
  readonly buffered: number;
  readonly stuck: number;
  readonly processed: number;
  /** Milliseconds since the broker last answered, or since the start; undefined before it. */
  readonly lastFetchMsAgo: number | undefined;
}

export type WorkerState = 'new' | 'starting' | 'running' | 'draining' | 'aborting' | 'stopped';

/** Part of the grace that is kept for aborting handlers and handing back what they leave. */
const HAND_BACK_MS = 2_000;

/**
 * Takes tasks from queues and runs them. Composes the services below and starts and stops them in order.
 *
 * ```text
 *   new ─start─► starting ─► running ─stop─► draining ──all ended──────────────────► stopped
 *                                              │  nothing starts; running handlers      ▲
 *                                              │  get the grace                         │
 *                                              └─grace over, or stop again─► aborting ──┘
 *                                                   signals abort first; after that what still
 *                                                   runs is handed back and starts elsewhere
 * ```
 */
export class Worker implements WorkerEvents {
  readonly name: string;
  readonly queues: readonly string[];
  private currentState: WorkerState = 'new';
  private processed = 0;
  private readonly listeners = new Set<WorkerListener>();
  private readonly leaseMs: number;
  private readonly pool: ExecutionPool;
  private parts: WorkerServices | undefined;
  private stopping: Promise<void> | undefined;
  private hurry = new AbortController();

  constructor(private readonly options: WorkerOptions) {
    const { settings, registry } = options;
    const { worker } = settings;
    this.name = worker.name ?? `worker@${hostname()}#${process.pid}`;
    this.queues = worker.queues ?? defaultQueues(settings, registry);
    this.leaseMs = toMilliseconds(worker.lease, 'worker.lease');
    const serializer = serializerFrom(settings);
    const runner = new TaskRunner({ registry, logger: options.logger, clock: options.clock, serializer });
    this.pool = new InlinePool(runner, { size: worker.pool === 'solo' ? 1 : worker.concurrency });
    if (worker.logTasks) this.on(taskLog(options.logger));
  }

  get state(): WorkerState {
    return this.currentState;
  }

  /** Calls back for every event of this worker. Returns the way to stop that. */
  on(listener: WorkerListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Resolves when the worker consumes. Rejects when the broker cannot be reached. */
  async start(): Promise<void> {
    if (this.currentState !== 'new') return;
    this.currentState = 'starting';
    const { broker } = this.options.stores;
    await broker.declare(this.queues.map((name) => ({ name })));
    const consumer = await broker.consume({ queues: this.queues, consumerId: this.name, leaseMs: this.leaseMs });
    const parts = composeServices({
      ...this.options,
      name: this.name,
      leaseMs: this.leaseMs,
      pool: this.pool,
      consumer,
      events: this,
      onLost: (deliveries) => this.lost(deliveries),
      onRevoked: (taskId) => this.parts?.executor.interruptTask(taskId, 'revoked'),
      onSettled: () => (this.processed += 1),
    });
    this.parts = parts;
    await parts.revocations.start();
    parts.recoverer.start();
    parts.leases.start();
    if (this.stopping !== undefined) return;
    parts.fetcher.start();
    this.currentState = 'running';
    this.emit({ type: 'worker-online', worker: this.name });
  }

  /**
   * Stops within the grace (default: the setting). A second call shortens it to nothing. Resolves when every lease is
   * given back and nothing runs that could still record anything.
   */
  stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.stopping !== undefined) {
      this.hurry.abort();
      return this.stopping;
    }
    const graceMs =
      options.graceMs ?? toMilliseconds(this.options.settings.worker.shutdownGrace, 'worker.shutdownGrace');
    this.stopping = this.shutDown(graceMs);
    return this.stopping;
  }

  /** Stops taking tasks, and keeps those it runs; `resume` goes on. */
  pause(): void {
    this.parts?.fetcher.pause();
  }

  resume(): void {
    this.parts?.fetcher.resume();
  }

  status(): WorkerStatus {
    const lastFetchAt = this.parts?.fetcher.lastFetchAt;
    return {
      name: this.name,
      state: this.currentState,
      queues: this.queues,
      concurrency: this.pool.size,
      active: this.parts?.executor.activeCount ?? 0,
      buffered: this.parts?.fetcher.buffered ?? 0,
      stuck: this.pool.stuck,
      processed: this.processed,
      lastFetchMsAgo: lastFetchAt === undefined ? undefined : this.options.clock.monotonic() - lastFetchAt,
    };
  }

  private async shutDown(graceMs: number): Promise<void> {
    const { logger } = this.options;
    const { parts } = this;
    if (parts === undefined) {
      this.currentState = 'stopped';
      return;
    }
    this.currentState = 'draining';
    const deadline = this.options.clock.monotonic() + graceMs;
    await parts.fetcher.stop();
    const handBackMs = Math.min(HAND_BACK_MS, graceMs / 2);
    if (parts.executor.activeCount > 0) {
      logger.log(
        `Waiting up to ${graceMs - handBackMs} ms for ${parts.executor.activeCount} running task(s).`,
        'Worker',
      );
    }
    await this.quiet(parts, deadline - handBackMs, this.hurry.signal);
    this.currentState = 'aborting';
    const handBackBy = Math.min(deadline, this.options.clock.monotonic() + HAND_BACK_MS);
    await this.abortRunning(parts, handBackBy);
    await this.withDeadline(parts.settler.drain(), handBackBy);
    await parts.recoverer.stop();
    await parts.revocations.stop();
    await parts.leases.stop();
    await this.withDeadline(parts.consumer.close(), handBackBy + HAND_BACK_MS);
    await this.pool.close();
    this.currentState = 'stopped';
    this.emit({ type: 'worker-offline', worker: this.name });
  }

  /** Waits until nothing runs, until the deadline, or until someone is in a hurry. */
  private async quiet(parts: WorkerServices, deadline: number, hurry: AbortSignal): Promise<void> {
    const { clock } = this.options;
    while (parts.executor.activeCount > 0 && clock.monotonic() < deadline && !hurry.aborted) {
      await clock.sleep(Math.min(20, deadline - clock.monotonic()), hurry).catch(() => undefined);
    }
  }

  /** Aborts what still runs, gives it a moment to end by itself, and leaves the rest to `consumer.close`. */
  private async abortRunning(parts: WorkerServices, deadline: number): Promise<void> {
    const { active } = parts.executor;
    if (active.length === 0) return;
    this.options.logger.warn(`The grace is over: ${active.length} task(s) are aborted and handed back.`, 'Worker');
    this.interruptAll(
      active.map((run) => run.delivery),
      'shutdown',
    );
    await this.quiet(parts, deadline, new AbortController().signal);
  }

  private lost(deliveries: readonly Delivery[]): void {
    this.options.logger.warn(`The leases of ${deliveries.length} task(s) were lost; their runs are aborted.`, 'Worker');
    this.parts?.fetcher.discard(deliveries);
    this.interruptAll(deliveries, 'lease-lost');
  }

  private interruptAll(deliveries: readonly Delivery[], reason: InterruptReason): void {
    for (const delivery of deliveries) this.parts?.executor.interrupt(delivery, reason);
  }

  private async withDeadline(work: Promise<void>, deadline: number): Promise<void> {
    const { clock, logger } = this.options;
    const done = new AbortController();
    const timeout = clock.sleep(Math.max(0, deadline - clock.monotonic()), done.signal).catch(() => undefined);
    await Promise.race([
      work.catch((error: unknown) => logger.warn(`Stopping: ${String(error)}`, 'Worker')).finally(() => done.abort()),
      timeout,
    ]);
  }

  /** Whether anybody listens. */
  get heard(): boolean {
    return this.listeners.size > 0;
  }

  /** Tells the listeners; for the parts of this worker. */
  emit(event: WorkerEvent): void {
    for (const listener of this.listeners) {
      try {
        listener(event);
      } catch (error) {
        this.options.logger.error(
          'A worker event listener threw.',
          error instanceof Error ? error.stack : undefined,
          'Worker',
        );
      }
    }
  }
}

/** The default queue first, then every queue that a registered task names. */
function defaultQueues(settings: TaskQueueSettings, registry: TaskRegistry): readonly string[] {
  const named = registry.all().map((task) => task.definition.queue ?? settings.defaultQueue);
  return [...new Set([settings.defaultQueue, ...named])];
}
