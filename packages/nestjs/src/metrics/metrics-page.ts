import type { INestApplicationContext } from '@nestjs/common';
import type { BeatStatus, QueueFacts, WorkerStatus } from '@taskqueue/core';
import { Worker } from '@taskqueue/core';
import { onceASecond } from '../health/once-a-second.js';
import type { ProbeAnswer } from '../health/probe-server.js';
import { TaskQueueLifecycle } from '../lifecycle/task-queue.lifecycle.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import type { Prometheus } from './prometheus.js';
import { ServiceMetrics } from './service-metrics.js';
import { TaskMetrics } from './task-metrics.js';

/** A store that is slower leaves its queues out of a scrape, not the scrape out. */
const QUEUES_TIMEOUT_MS = 2_000;

/**
 * `/metrics` of a process: what it counted, what it is now, and what the application itself registered with
 * `prom-client`. Made before the worker or beat, so that nothing is missed.
 */
export class MetricsPage {
  private readonly registry;
  private readonly service;
  private readonly queues;
  private readonly runtime;
  private readonly lifecycle;

  constructor(
    private readonly prometheus: Prometheus,
    app: INestApplicationContext,
    kind: 'worker' | 'beat',
  ) {
    this.runtime = app.get(TaskQueueRuntime, { strict: false });
    this.lifecycle = app.get(TaskQueueLifecycle, { strict: false });
    this.registry = new prometheus.Registry();
    this.service = new ServiceMetrics(prometheus, this.registry, kind);
    this.queues = onceASecond(this.runtime.clock, () => this.allQueues());
    const tasks = new TaskMetrics(prometheus, this.registry, this.runtime.registry);
    this.runtime.onPublishEvent(tasks.observeSent);
    if (kind === 'worker') this.runtime.onWorkerEvent(tasks.observe);
  }

  readonly answer = async (): Promise<ProbeAnswer> => {
    const { services } = this.lifecycle;
    const workers: WorkerStatus[] = [];
    const beats: BeatStatus[] = [];
    for (const one of services) {
      if (one instanceof Worker) workers.push(one.status());
      else beats.push(one.status());
    }
    const consumed = new Set(workers.flatMap(({ queues }) => queues));
    const queues = (await this.queues()).filter(({ name }) => consumed.has(name));
    this.service.refresh({ workers, beats, queues });
    const { Registry, register } = this.prometheus;
    const all = Registry.merge([this.registry, register]);
    return { status: 200, contentType: all.contentType, body: await all.metrics() };
  };

  close(): Promise<void> {
    this.service.close();
    return Promise.resolve();
  }

  private async allQueues(): Promise<readonly QueueFacts[]> {
    const { stores, clock, logger } = this.runtime;
    if (stores.inspector === undefined || this.lifecycle.services.every((one) => !(one instanceof Worker))) return [];
    const patience = new AbortController();
    const late = clock.sleep(QUEUES_TIMEOUT_MS, patience.signal).then(
      () => Promise.reject(new Error(`no answer within ${QUEUES_TIMEOUT_MS} ms`)),
      () => [],
    );
    try {
      return await Promise.race([stores.inspector.queues(), late]);
    } catch (error) {
      logger.debug(`Metrics without queues: ${String(error)}`, 'TaskQueue');
      return [];
    } finally {
      patience.abort();
    }
  }
}
