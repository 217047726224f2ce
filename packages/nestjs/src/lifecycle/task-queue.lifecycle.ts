import type { OnApplicationBootstrap, OnApplicationShutdown, OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { Beat, Worker } from '@taskqueue/core';
import { unknownVariables, UsageError } from '@taskqueue/core';
import { EventExplorer } from '../discovery/event.explorer.js';
import { TaskExplorer } from '../discovery/task.explorer.js';
import { BeatTimers } from '../scheduling/beat-timers.js';
import { NestScheduleAdoption } from '../scheduling/nest-schedule-adoption.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { bootsIdle } from './child-boot.js';

/** Below every module's distance, so that our hooks run last at start and first at the end. */
const NEAREST = -1;

/**
 * Nest's hooks → start and stop, in the right order.
 *
 * ```text
 *   all providers made ─► onModuleInit: find tasks ─► onApplicationBootstrap: connect, embedded worker and beat start
 *   app.close() ─► onModuleDestroy: worker and beat drain ─► (users' hooks close what tasks need)
 *               ─► onApplicationShutdown: drivers close ─► (TypeORM closes its data sources)
 * ```
 *
 * Nest runs destroy hooks from the nearest module to the farthest, and a library module is far: users' own
 * `onModuleDestroy` would close the clients that running tasks need. So this module is made the nearest.
 */
@Injectable()
export class TaskQueueLifecycle
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown
{
  private readonly running = new Set<Worker | Beat>();

  constructor(
    private readonly runtime: TaskQueueRuntime,
    private readonly tasks: TaskExplorer,
    private readonly events: EventExplorer,
    private readonly adoption: NestScheduleAdoption,
    private readonly timers: BeatTimers,
    modules: ModulesContainer,
  ) {
    const own = [...modules.values()].filter((module) => module.providers.has(TaskQueueLifecycle));
    if (own.length > 1) {
      throw new UsageError({
        code: 'STATE_INVALID',
        message: 'TaskQueueModule is imported twice with different options.',
        remedy: 'Call forRoot() once, in the root module; its client is global.',
      });
    }
    for (const module of own) module.distance = NEAREST;
  }

  async onModuleInit(): Promise<void> {
    await this.runtime.explore({ tasks: this.tasks, events: this.events }, this.adoption.entries);
  }

  async onApplicationBootstrap(): Promise<void> {
    const { embedded = 'none' } = this.runtime.options;
    if (bootsIdle()) return;
    const ignored = unknownVariables(process.env);
    if (ignored !== undefined) this.runtime.logger.warn(ignored, 'TaskQueue');
    await this.runtime.connect();
    this.runtime.listenToCluster();
    if (embedded === 'worker' || embedded === 'both') await this.startWorker();
    if (embedded === 'beat' || embedded === 'both') await this.startBeat();
  }

  /** Starts a worker that this application drains before it closes. */
  async startWorker(...options: Parameters<TaskQueueRuntime['createWorker']>): Promise<Worker> {
    const worker = this.runtime.createWorker(...options);
    this.running.add(worker);
    await worker.start();
    return worker;
  }

  /** Starts a beat that this application stops before it closes. */
  async startBeat(): Promise<Beat> {
    await this.runtime.keepInstants(this.adoption.onceOnly);
    const beat = this.runtime.createBeat(this.timers.show);
    this.timers.wake = () => beat.wake();
    this.running.add(beat);
    await beat.start();
    return beat;
  }

  /** What runs in this process, for health checks. */
  get services(): readonly (Worker | Beat)[] {
    return [...this.running];
  }

  /** Stops what was started here. A second call shortens a worker's grace. */
  async drain(): Promise<void> {
    await Promise.all([...this.running].map((service) => service.stop()));
    this.timers.clear();
  }

  async onModuleDestroy(): Promise<void> {
    await this.drain();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.runtime.close();
  }
}
