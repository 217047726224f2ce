import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { BeatStatus, WorkerStatus } from '@taskqueue/core';
import { toMilliseconds, Worker } from '@taskqueue/core';
import { TaskQueueLifecycle } from '../lifecycle/task-queue.lifecycle.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';

/** The shape that Terminus indicators answer with, so that `health.check([() => queue.ready()])` works as it is. */
export interface TaskQueueHealthResult {
  readonly [key: string]: {
    readonly status: 'up' | 'down';
    readonly reason?: string;
    readonly workers: readonly WorkerStatus[];
    readonly beats: readonly BeatStatus[];
  };
}

/** A worker whose broker was silent for longer than this is not ready. A waiting receive answers within 5 s. */
const SILENCE_MS = 30_000;
const PING_TIMEOUT_MS = 5_000;

/** Readiness measures consumption, not that the process exists. */
@Injectable()
export class TaskQueueHealth {
  constructor(
    private readonly runtime: TaskQueueRuntime,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** Do the stores answer, and do the worker and beat of this process, if any, get on? Never rejects. */
  async ready(key = 'taskQueue'): Promise<TaskQueueHealthResult> {
    const reason = (await this.storesAnswer()) ?? this.silentService();
    const { workers, beats } = this.services();
    const status = reason === undefined ? ('up' as const) : ('down' as const);
    return { [key]: { status, ...(reason === undefined ? {} : { reason }), workers, beats } };
  }

  private async storesAnswer(): Promise<string | undefined> {
    const timeout = new AbortController();
    const late = this.runtime.clock.sleep(PING_TIMEOUT_MS, timeout.signal).then(
      () => `The stores did not answer within ${PING_TIMEOUT_MS} ms.`,
      () => undefined,
    );
    const ping = this.runtime.ping().then(
      () => undefined,
      (error: unknown) => String(error),
    );
    return Promise.race([ping, late]).finally(() => timeout.abort());
  }

  private silentService(): string | undefined {
    const { workers, beats } = this.services();
    for (const worker of workers) {
      if (worker.state !== 'running') return `${worker.name} is ${worker.state}.`;
      const busy = worker.active >= worker.concurrency;
      if (!busy && (worker.lastFetchMsAgo ?? 0) > SILENCE_MS)
        return `${worker.name} has not heard from its broker for ${SILENCE_MS} ms.`;
    }
    // A beat may be told to look less often.
    const patienceMs = Math.max(SILENCE_MS, 2 * toMilliseconds(this.runtime.settings.beat.poll, 'beat.poll'));
    for (const beat of beats) {
      if (beat.state !== 'running') return `${beat.name} is ${beat.state}.`;
      if ((beat.lastPollMsAgo ?? 0) > patienceMs)
        return `${beat.name} has not read its schedules for ${patienceMs} ms.`;
    }
    return undefined;
  }

  private services(): { workers: WorkerStatus[]; beats: BeatStatus[] } {
    const { services } = this.moduleRef.get(TaskQueueLifecycle, { strict: false });
    const workers: WorkerStatus[] = [];
    const beats: BeatStatus[] = [];
    for (const service of services) {
      if (service instanceof Worker) workers.push(service.status());
      else beats.push(service.status());
    }
    return { workers, beats };
  }
}
