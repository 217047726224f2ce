import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { unlessAborted } from '../async/unless-aborted.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { CommandVerifier } from '../control/command-signature.js';
import { RemoteControl } from '../control/remote-control.js';
import type { PublishEvents } from '../events/publish-events.js';
import type { EncodedMessage } from '../message/encoded-message.js';
import { LogicalClock } from '../message/logical-clock.js';
import { decodeOptionsFrom } from '../message/wire-format.js';
import type { ChildProgram } from '../pools/child.js';
import { makePool } from '../pools/make-pool.js';
import type { Delivery } from '../ports/delivery.js';
import type { ExecutionPool } from '../ports/execution-pool.js';
import type { Stores } from '../ports/stores.js';
import type { Tracing } from '../ports/tracing.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { cautions } from './cautions.js';
import type { InterruptReason } from './interruption.js';
import type { Presence } from './presence.js';
import { presenceOf } from './presence.js';
import { needsSignature, remoteCommands } from './remote-commands.js';
import { taskLog } from './task-log.js';
import { defaultQueues, longestLimit } from './subscribed-queues.js';
import type { WorkerServices } from './worker-services.js';
import { composeServices } from './worker-services.js';
import { defaultWorkerName } from './worker-name.js';
import type { WorkerState, WorkerStatus } from './worker-status.js';
import type { WorkerEvent, WorkerEvents, WorkerListener } from './worker-events.js';

/** What a worker works with. */
export interface WorkerOptions {
  readonly stores: Stores;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly logger: Logger;
  readonly clock: Clock;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
  /** Called when somebody says `shutdown` to this worker. Default: it stops; a process of its own should end as well. */
  readonly onShutdown?: () => void;
  /** Called when it has stopped because its pool can run nothing any more. It has said why. */
  readonly onFailed?: () => void;
  /** Are told of the followers that it sends. */
  readonly published?: PublishEvents;
  /** Of its process, where others of it tell events as well. Default: one of its own. */
  readonly logicalClock?: LogicalClock;
  /** The program that the children of `threads` and `prefork` are started from. Without it there are no such pools. */
  readonly children?: ChildProgram;
  /** Of runs on its own thread; children have their own. */
  readonly tracing?: Tracing | undefined;
}

/** Part of the grace that is kept for aborting handlers and handing back what they leave. */
const HAND_BACK_MS = 2_000;
/** For children to close their applications, and a little. */
const CHILDREN_CLOSE_MS = 6_000;

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
  private readonly subscribed: readonly string[];
  private currentState: WorkerState = 'new';
  private processed = 0;
  private lostLeases = 0;
  private readonly listeners = new Set<WorkerListener>();
  private readonly leaseMs: number;
  private readonly pool: ExecutionPool;
  private parts: WorkerServices | undefined;
  private control: RemoteControl | undefined;
  private presence: Presence | undefined;
  private readonly logs: number;
  private readonly logicalClock: LogicalClock;
  private stopping: Promise<void> | undefined;
  private hurry = new AbortController();

  constructor(private readonly options: WorkerOptions) {
    const { settings, registry } = options;
    const { worker } = settings;
    this.name = worker.name ?? defaultWorkerName();
    this.subscribed = worker.queues ?? defaultQueues(settings, registry);
    this.leaseMs = toMilliseconds(worker.lease, 'worker.lease');
    const { logger, clock, children, tracing } = options;
    this.pool = makePool({
      settings,
      registry,
      logger,
      clock,
      children,
      tracing,
      onBroken: (error) => this.fail(error),
    });
    this.logicalClock = options.logicalClock ?? new LogicalClock();
    if (worker.logTasks) this.on(taskLog(options.logger));
    this.logs = this.listeners.size;
  }

  /** What it takes from; may change while it runs. */
  get queues(): readonly string[] {
    return this.parts?.queues.names ?? this.subscribed;
  }

  get state(): WorkerState {
    return this.currentState;
  }

  /** Calls back for every event of this worker. Returns the way to stop that. */
  on(listener: WorkerListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Resolves when the worker consumes. Rejects when the broker cannot be reached, or when its pool cannot start. */
  async start(): Promise<void> {
    if (this.currentState !== 'new') return;
    this.currentState = 'starting';
    this.emit({ type: 'worker-starting', worker: this.name });
    for (const caution of cautions({ ...this.options, pool: this.pool })) this.options.logger.warn(caution, 'Worker');
    try {
      await this.pool.start();
      if (this.stopping === undefined) await this.consume();
    } catch (error) {
      await Promise.all([this.pool.close(), this.withdraw()]);
      // Whoever stops what starts does not hear of it.
      if (this.stopping === undefined) throw error;
    }
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
      lostEvents: this.presence?.lostEvents ?? 0,
      lostLeases: this.lostLeases,
    };
  }

  private async consume(): Promise<void> {
    const { broker } = this.options.stores;
    await broker.declare(this.queues.map((name) => ({ name })));
    const longestRunMs = longestLimit(this.options.registry);
    const consumer = await broker.consume({
      queues: this.queues,
      consumerId: this.name,
      leaseMs: this.leaseMs,
      ...(longestRunMs === undefined ? {} : { longestRunMs }),
    });
    const parts = composeServices({
      ...this.options,
      name: this.name,
      queues: this.subscribed,
      leaseMs: this.leaseMs,
      pool: this.pool,
      consumer,
      events: this,
      published: this.options.published,
      onLost: (deliveries) => this.lost(deliveries),
      onRevoked: (taskId) => this.parts?.executor.interruptTask(taskId, 'revoked'),
      onSettled: () => (this.processed += 1),
    });
    this.parts = parts;
    if (this.stopping === undefined) await parts.revocations.start();
    if (this.stopping !== undefined) return this.withdraw();
    parts.recoverer.start();
    parts.leases.start();
    parts.fetcher.start();
    parts.autoscaler?.start();
    this.currentState = 'running';
    this.presence = presenceOf({
      ...this.options,
      worker: this,
      logicalClock: this.logicalClock,
      counts: () => ({ active: parts.executor.activeCount, processed: this.processed }),
    });
    this.presence?.start();
    this.control = this.remoteControl(parts);
    this.control?.start();
    this.emit({ type: 'worker-online', worker: this.name });
  }

  /** Stopped, or failed, while it started: what had begun ends, although nobody had it to stop. */
  private async withdraw(): Promise<void> {
    const { parts } = this;
    if (parts === undefined) return;
    const ended = this.stopBackground(parts).then(() => parts.consumer.close());
    await this.withDeadline(ended, this.options.clock.monotonic() + HAND_BACK_MS);
  }

  private async shutDown(graceMs: number): Promise<void> {
    const { logger } = this.options;
    const { parts } = this;
    if (parts === undefined) {
      this.currentState = 'stopped';
      await this.pool.close();
      return;
    }
    this.currentState = 'draining';
    this.emit({ type: 'worker-stopping', worker: this.name });
    const deadline = this.options.clock.monotonic() + graceMs;
    parts.autoscaler?.stop();
    const handBackMs = Math.min(HAND_BACK_MS, graceMs / 2);
    // What is given back may wait for a store that is away; nothing starts meanwhile.
    const stopped = this.withDeadline(parts.fetcher.stop(), deadline - handBackMs);
    await unlessAborted(stopped, this.hurry.signal, 0);
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
    await this.killRunning(parts, handBackBy + HAND_BACK_MS);
    const closed = this.pool.close();
    await this.withDeadline(parts.settler.drain(), handBackBy);
    parts.settler.close();
    await this.withDeadline(this.stopBackground(parts), handBackBy + HAND_BACK_MS);
    await this.withDeadline(parts.consumer.close(), handBackBy + HAND_BACK_MS);
    await this.withDeadline(closed, this.options.clock.monotonic() + CHILDREN_CLOSE_MS);
    this.currentState = 'stopped';
    this.emit({ type: 'worker-offline', worker: this.name });
  }

  /** A store that is away keeps each of them waiting: together that is once. */
  private async stopBackground({ recoverer, revocations, leases }: WorkerServices): Promise<void> {
    const { control, presence } = this;
    await Promise.all([control?.stop(), presence?.stop(), recoverer.stop(), revocations.stop(), leases.stop()]);
  }

  private remoteControl(parts: WorkerServices): RemoteControl | undefined {
    const { executor, fetcher, revocations } = parts;
    const { stores, registry, settings, clock, logger, onShutdown } = this.options;
    const { pubsub } = stores;
    const scope = settings.worker.control;
    if (pubsub === undefined || scope === 'none') return undefined;
    const { name, pool, logicalClock, presence } = this;
    const { controlSecret } = settings.worker;
    const verifier = controlSecret === undefined ? undefined : new CommandVerifier(controlSecret, clock);
    const handlers = remoteCommands(
      {
        name,
        parts,
        pool,
        stores,
        registry,
        settings,
        clock,
        decoding: decodeOptionsFrom(settings),
        active: () => executor.active,
        reserved: () => fetcher.waiting,
        revoked: () => revocations.ids,
        started: () => executor.started,
        shutdown: onShutdown ?? (() => void this.stop()),
        logicalClock,
        presence,
      },
      scope,
    );
    const refusal = (method: string, message: EncodedMessage): string | undefined =>
      needsSignature(method) ? verifier?.refusal(message) : undefined;
    return new RemoteControl({ pubsub, worker: name, handlers, refusal, clock, logicalClock, logger });
  }

  /** The pool can run nothing any more: what is leased is handed back. */
  private fail(error: Error): void {
    if (this.stopping !== undefined) return;
    this.options.logger.fatal(error.message, 'Worker');
    void this.stop({ graceMs: 0 }).then(() => {
      this.emit({ type: 'worker-failed', worker: this.name, error });
      this.options.onFailed?.();
    });
  }

  /** Waits until nothing runs, until the deadline, or until someone is in a hurry. */
  private async quiet(parts: WorkerServices, deadline: number, hurry: AbortSignal): Promise<void> {
    const { clock } = this.options;
    while (parts.executor.activeCount + parts.executor.reserved > 0 && clock.monotonic() < deadline && !hurry.aborted) {
      await clock.sleep(Math.min(20, deadline - clock.monotonic()), hurry).catch(() => undefined);
    }
  }

  /** Aborts what still runs, gives it a moment to end by itself, and leaves the rest to `consumer.close`. */
  private async abortRunning(parts: WorkerServices, deadline: number): Promise<void> {
    const { executor } = parts;
    executor.abort();
    if (executor.activeCount + executor.reserved === 0) return;
    this.options.logger.warn(
      `The grace is over: ${executor.activeCount + executor.reserved} task(s) are aborted and handed back.`,
      'Worker',
    );
    await this.quiet(parts, deadline, new AbortController().signal);
  }

  /** What can be killed is, before anybody else gets its task. */
  private async killRunning(parts: WorkerServices, deadline: number): Promise<void> {
    if (!this.pool.preemptible) return;
    await this.withDeadline(this.pool.abandon(), deadline);
    await this.quiet(parts, deadline, new AbortController().signal);
  }

  private lost(deliveries: readonly Delivery[]): void {
    this.options.logger.warn(`The leases of ${deliveries.length} task(s) were lost; their runs are aborted.`, 'Worker');
    this.lostLeases += deliveries.length;
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

  /** Whether anybody but the log does. */
  get heardInFull(): boolean {
    return this.listeners.size > this.logs;
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
