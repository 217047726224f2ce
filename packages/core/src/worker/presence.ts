import { loadavg, type } from 'node:os';
import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { VERSION } from '../ambient/version.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { EventDispatcher } from '../events/event-dispatcher.js';
import type { WorkerFacts } from '../events/cluster-event.js';
import type { LogicalClock } from '../message/logical-clock.js';
import type { Stores } from '../ports/stores.js';
import { eventFeed } from './event-feed.js';
import type { WorkerEvents, WorkerListener } from './worker-events.js';

export interface PresenceInit {
  readonly stores: Stores;
  readonly settings: TaskQueueSettings;
  readonly clock: Clock;
  readonly logicalClock: LogicalClock;
  readonly logger: Logger;
  readonly worker: WorkerEvents & { readonly name: string; on(listener: WorkerListener): () => void };
  readonly counts: PresenceOptions['counts'];
}

/** Of a worker. Undefined where the store carries no events. */
export function presenceOf(init: PresenceInit): Presence | undefined {
  const { stores, settings, clock, logicalClock, logger, worker, counts } = init;
  const { pubsub } = stores;
  if (pubsub === undefined) return undefined;
  const { name } = worker;
  return new Presence({
    dispatcher: new EventDispatcher({ pubsub, hostname: name, clock, logicalClock, logger }),
    clock,
    heartbeatMs: toMilliseconds(settings.worker.heartbeat, 'worker.heartbeat'),
    taskEvents: settings.worker.events,
    workerEvents: pubsub.heardByCelery === true,
    counts,
    listen: (listener) => worker.on(listener),
    onHeartbeat: () => {
      if (worker.heardInFull) worker.emit({ type: 'worker-heartbeat', worker: name });
    },
  });
}

export interface PresenceOptions {
  readonly dispatcher: EventDispatcher;
  readonly clock: Clock;
  /** Between heartbeats; 0: none. */
  readonly heartbeatMs: number;
  /** Of tasks from the start, and not only when somebody says `enable_events`. */
  readonly taskEvents: boolean;
  /** Of the worker itself although there are none of its tasks. */
  readonly workerEvents: boolean;
  readonly counts: () => { readonly active: number; readonly processed: number };
  /** Listens to the worker; the answer stops that. */
  readonly listen: (listener: WorkerListener) => () => void;
  readonly onHeartbeat: () => void;
}

/**
 * What a worker lets the cluster know of itself:
 *
 * ```text
 *   new ─start─► there ─stop─► gone
 *                 │  worker-online, worker-heartbeat every two seconds … worker-offline
 *                 └─ tasks: silent ◄──enable, disable──► told
 * ```
 *
 * Where only this library listens (`workerEvents` is false) it says nothing of itself either, until its tasks are told.
 */
export class Presence {
  private timer: ClockTimer | undefined;
  private stopListening: (() => void) | undefined;
  private isThere = false;
  private isTold = false;

  constructor(private readonly options: PresenceOptions) {}

  start(): void {
    this.isThere = true;
    if (this.options.workerEvents) this.appear();
    if (this.options.taskEvents) this.enable();
  }

  /** Tells what happens to tasks from now on. False: it does already. */
  enable(): boolean {
    if (this.stopListening !== undefined) return false;
    this.stopListening = this.options.listen(eventFeed(this.options.dispatcher));
    this.appear();
    return true;
  }

  /** False: it does not anyway. */
  disable(): boolean {
    if (this.stopListening === undefined) return false;
    this.stopListening();
    this.stopListening = undefined;
    return true;
  }

  /** One out of turn: somebody asks who is there. */
  heartbeat(): void {
    if (this.isThere) this.options.dispatcher.emit('worker-heartbeat', this.facts());
  }

  /** Events that could not be told. */
  get lostEvents(): number {
    return this.options.dispatcher.lost;
  }

  /** Says good-bye. Resolves when that was said, or lost. */
  async stop(): Promise<void> {
    this.timer?.cancel();
    if (this.isTold) this.options.dispatcher.emit('worker-offline', this.facts());
    this.isThere = false;
    await this.options.dispatcher.close();
  }

  private appear(): void {
    if (this.isTold || !this.isThere) return;
    this.isTold = true;
    this.options.dispatcher.emit('worker-online', this.facts());
    if (this.options.heartbeatMs > 0) this.beat();
  }

  private beat(): void {
    this.timer = this.options.clock.timer(
      this.options.heartbeatMs,
      () => {
        this.heartbeat();
        this.options.onHeartbeat();
        this.beat();
      },
      { unref: true },
    );
  }

  private facts(): WorkerFacts {
    return {
      intervalMs: this.options.heartbeatMs,
      ...this.options.counts(),
      loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
      software: 'js-taskqueue',
      version: VERSION,
      system: type(),
    };
  }
}
