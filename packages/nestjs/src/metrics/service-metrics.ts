import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { BeatStatus, QueueFacts, WorkerStatus } from '@taskqueue/core';
import type { Gauge, Registry } from 'prom-client';
import type { Prometheus } from './prometheus.js';

/** What is read when somebody asks. */
export interface ServiceReading {
  readonly workers: readonly WorkerStatus[];
  readonly beats: readonly BeatStatus[];
  /** Of the queues of these workers; empty where nobody can tell. */
  readonly queues: readonly QueueFacts[];
}

type Numbers = Readonly<Record<string, { readonly help: string; readonly of: (status: WorkerStatus) => number }>>;

const OF_WORKERS: Numbers = {
  taskqueue_worker_slots: { help: 'Tasks that may run at once.', of: (one) => one.concurrency },
  taskqueue_worker_active_tasks: { help: 'Tasks that run.', of: (one) => one.active },
  taskqueue_worker_reserved_tasks: { help: 'Tasks that are leased and wait for a slot.', of: (one) => one.buffered },
  taskqueue_worker_stuck_tasks: {
    help: 'Tasks that passed their time limit and do not end.',
    of: (one) => one.stuck,
  },
  taskqueue_worker_last_fetch_seconds: {
    help: 'Since the broker last answered.',
    of: (one) => (one.lastFetchMsAgo ?? 0) / 1_000,
  },
};

const COUNTED_BY_WORKERS: Numbers = {
  taskqueue_worker_lost_leases_total: { help: 'Leases that others have now.', of: (one) => one.lostLeases },
  taskqueue_worker_lost_events_total: {
    help: 'Events that the cluster could not be told.',
    of: (one) => one.lostEvents,
  },
};

const LAG_QUANTILES = [0.5, 0.99, 1] as const;

/** What a process is at this moment: slots, silence, queues, event loop. */
export class ServiceMetrics {
  private readonly lag = monitorEventLoopDelay({ resolution: 10 });
  private readonly refreshers: ((reading: ServiceReading) => void)[] = [];

  constructor(
    { Counter, Gauge }: Prometheus,
    private readonly registry: Registry,
    service: 'worker' | 'beat',
  ) {
    const registers = [registry];
    const gauge = (name: string, help: string, labelNames: string[] = []): Gauge => {
      return new Gauge({ name, help, labelNames, registers });
    };
    const each = (read: (reading: ServiceReading) => void): void => void this.refreshers.push(read);
    if (service === 'worker') {
      for (const [name, { help, of }] of Object.entries(OF_WORKERS)) {
        const made = gauge(name, help);
        each(({ workers }) => made.set(sum(workers.map(of))));
      }
      for (const [name, { help, of }] of Object.entries(COUNTED_BY_WORKERS)) {
        const made = new Counter({ name, help, registers });
        each(({ workers }) => {
          made.reset();
          made.inc(sum(workers.map(of)));
        });
      }
      const messages = gauge('taskqueue_queue_messages', 'Messages in a queue of this worker.', ['queue', 'state']);
      const oldest = gauge('taskqueue_queue_oldest_ready_seconds', 'Age of the oldest that could start.', ['queue']);
      each(({ queues }) => showQueues(queues, messages, oldest));
    } else {
      const entries = gauge('taskqueue_beat_entries', 'Schedules that are watched.');
      const poll = gauge('taskqueue_beat_last_poll_seconds', 'Since the store of schedules last answered.');
      each(({ beats }) => entries.set(sum(beats.map((one) => one.entries))));
      each(({ beats }) => poll.set(sum(beats.map((one) => one.lastPollMsAgo ?? 0)) / 1_000));
    }
    const lag = gauge('taskqueue_event_loop_lag_seconds', 'Delay of the event loop since the last scrape.', [
      'quantile',
    ]);
    each(() => this.showLag(lag));
    this.lag.enable();
  }

  refresh(reading: ServiceReading): void {
    for (const refresh of this.refreshers) refresh(reading);
  }

  close(): void {
    this.lag.disable();
    this.registry.clear();
  }

  private showLag(gauge: Gauge): void {
    for (const quantile of LAG_QUANTILES) {
      gauge.set({ quantile: String(quantile) }, this.lag.count === 0 ? 0 : this.lag.percentile(quantile * 100) / 1e9);
    }
    this.lag.reset();
  }
}

/** What the store cannot tell, or does not now, is no number. */
function showQueues(queues: readonly QueueFacts[], messages: Gauge, oldest: Gauge): void {
  messages.reset();
  oldest.reset();
  for (const { name: queue, oldestReadyMs, ...facts } of queues) {
    for (const state of ['ready', 'delayed', 'leased', 'dead'] as const) {
      const count = facts[state];
      if (count !== undefined) messages.set({ queue, state }, count);
    }
    if (oldestReadyMs !== undefined) oldest.set({ queue }, oldestReadyMs / 1_000);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
