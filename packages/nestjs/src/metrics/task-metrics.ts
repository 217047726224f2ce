import type { PublishEvent, TaskRegistry, WorkerEvent } from '@taskqueue/core';
import type { Registry } from 'prom-client';
import { BoundedLabel, OTHER } from './bounded-label.js';
import type { Prometheus } from './prometheus.js';

/** How a run, or a message that was refused, may end: the event's name is the state. */
const ENDS: ReadonlySet<WorkerEvent['type']> = new Set([
  'task-succeeded',
  'task-failed',
  'task-retried',
  'task-snoozed',
  'task-ignored',
  'task-rejected',
  'task-revoked',
  'task-interrupted',
  'task-lost',
  'task-crashed',
] as const);

/** From a cache hit to a report. */
const DURATION_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];
const MOST_QUEUES = 100;

/** Counts what becomes of tasks. Its labels are tasks that are registered here, and the first hundred queues. */
export class TaskMetrics {
  private readonly queues = new BoundedLabel(MOST_QUEUES);
  private readonly sent;
  private readonly started;
  private readonly ended;
  private readonly duration;

  constructor(
    { Counter, Histogram }: Prometheus,
    registry: Registry,
    private readonly tasks: Pick<TaskRegistry, 'find'>,
  ) {
    const registers = [registry];
    const labelNames = ['task', 'queue'] as const;
    this.sent = new Counter({
      name: 'taskqueue_tasks_sent_total',
      help: 'Tasks that this process sent and the broker accepted.',
      labelNames,
      registers,
    });
    this.started = new Counter({
      name: 'taskqueue_tasks_started_total',
      help: 'Runs that began.',
      labelNames,
      registers,
    });
    this.ended = new Counter({
      name: 'taskqueue_tasks_ended_total',
      help: 'Runs that ended and messages that were refused, by how.',
      labelNames: [...labelNames, 'state'],
      registers,
    });
    this.duration = new Histogram({
      name: 'taskqueue_task_duration_seconds',
      help: 'Time that runs took, however they ended.',
      labelNames,
      buckets: DURATION_BUCKETS,
      registers,
    });
  }

  readonly observe = (event: WorkerEvent): void => {
    if (event.type === 'task-started') this.started.inc(this.labels(event.task));
    else if (event.type === 'task-ended') this.duration.observe(this.labels(event.task), event.runtimeMs / 1_000);
    else if ('task' in event && ENDS.has(event.type)) {
      this.ended.inc({ ...this.labels(event.task), state: event.type.slice('task-'.length) });
    }
  };

  readonly observeSent = (event: PublishEvent): void => {
    if (event.type === 'task-sent') this.sent.inc(this.labels(event.task));
  };

  private labels({ name, queue }: { readonly name: string; readonly queue: string }) {
    return { task: this.tasks.find(name) === undefined ? OTHER : name, queue: this.queues.of(queue) };
  }
}
