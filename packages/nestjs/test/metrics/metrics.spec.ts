import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { memoryDriver, silentLogger, TaskClient, validateSettings } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import * as prometheus from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { openProbes } from '../../src/health/probes.js';
import type { TaskQueueModuleOptions } from '../../src/index.js';
import { Reject, Retry, SharedTask, TaskQueueModule } from '../../src/index.js';
import { TaskQueueLifecycle } from '../../src/lifecycle/task-queue.lifecycle.js';
import { BoundedLabel } from '../../src/metrics/bounded-label.js';
import { loadPrometheus } from '../../src/metrics/prometheus.js';

@Injectable()
class Tasks {
  @SharedTask({ name: 'add' })
  async add(a: number, b: number): Promise<number> {
    return a + b;
  }

  @SharedTask({ name: 'fail' })
  async fail(): Promise<void> {
    throw new Error('no');
  }

  @SharedTask({ name: 'again', retry: { max: 1, delay: 0 } })
  async again(): Promise<void> {
    throw new Retry();
  }

  @SharedTask({ name: 'refuse' })
  async refuse(): Promise<void> {
    throw new Reject('no');
  }
}

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function scene(options: TaskQueueModuleOptions = {}, service: 'worker' | 'beat' = 'worker') {
  const imports = [TaskQueueModule.forRoot({ driver: memoryDriver(), logger: silentLogger, ...options })];
  const app = await Test.createTestingModule({ imports, providers: [Tasks] }).compile();
  await app.init();
  open.push(app);
  const settings = { healthPort: 0, healthHost: '127.0.0.1', healthFile: undefined, metrics: true };
  const probes = await openProbes({ app, service, settings });
  open.push(probes);
  const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${probes.port}/metrics`)).text();
  const value = async (series: string): Promise<number | undefined> => {
    const line = (await scrape()).split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { app, client: app.get(TaskClient), lifecycle: app.get(TaskQueueLifecycle), scrape, value };
}

describe('metrics', () => {
  it('count what becomes of tasks, by task, queue and state', async () => {
    const { client, lifecycle, value } = await scene();
    await lifecycle.startWorker({ queues: ['default', 'mail'] });
    await client.sendTask('add', [1, 2]);
    await client.sendTask('add', [1, 2], {}, { queue: 'mail' });
    for (const name of ['fail', 'again', 'refuse']) await client.sendTask(name);
    const ended = (task: string, queue: string, state: string) =>
      value(`taskqueue_tasks_ended_total{task="${task}",queue="${queue}",state="${state}"}`);
    await eventually(async () => expect(await ended('add', 'default', 'succeeded')).toBe(1));
    await eventually(async () => expect(await ended('add', 'mail', 'succeeded')).toBe(1));
    await eventually(async () => expect(await ended('fail', 'default', 'failed')).toBe(1));
    await eventually(async () => expect(await ended('again', 'default', 'retried')).toBe(1));
    await eventually(async () => expect(await ended('again', 'default', 'failed')).toBe(1));
    await eventually(async () => expect(await ended('refuse', 'default', 'rejected')).toBe(1));
    expect(await value('taskqueue_tasks_sent_total{task="add",queue="mail"}')).toBe(1);
    expect(await value('taskqueue_tasks_started_total{task="again",queue="default"}')).toBe(2);
    expect(await value('taskqueue_task_duration_seconds_count{task="again",queue="default"}')).toBe(2);
    expect(await value('taskqueue_task_duration_seconds_bucket{le="1800",task="add",queue="mail"}')).toBe(1);
  });

  it('show slots, silence, losses, queues and the event loop', async () => {
    const { client, lifecycle, value } = await scene();
    await client.sendTask('add', [1, 2], {}, { queue: 'elsewhere' });
    await client.sendTask('add', [1, 2], {}, { countdown: '1h' });
    await lifecycle.startWorker({ queues: ['default'], concurrency: 7 });
    expect(await value('taskqueue_worker_slots')).toBe(7);
    expect(await value('taskqueue_worker_active_tasks')).toBe(0);
    expect(await value('taskqueue_worker_lost_leases_total')).toBe(0);
    expect(await value('taskqueue_worker_lost_events_total')).toBe(0);
    await eventually(async () =>
      expect(await value('taskqueue_queue_messages{queue="default",state="delayed"}')).toBe(1),
    );
    expect(await value('taskqueue_queue_messages{queue="elsewhere",state="ready"}')).toBeUndefined();
    expect(await value('taskqueue_event_loop_lag_seconds{quantile="1"}')).toBeGreaterThanOrEqual(0);
  });

  it('have no label from names that nobody registered, nor from more than a hundred queues', async () => {
    const { client, scrape, value } = await scene();
    await client.sendTask('stranger');
    expect(await value('taskqueue_tasks_sent_total{task="(other)",queue="default"}')).toBe(1);
    expect(await scrape()).not.toContain('stranger');
    const label = new BoundedLabel(2);
    expect(['a', 'b', 'c', 'a'].map((one) => label.of(one))).toEqual(['a', 'b', '(other)', 'a']);
  });

  it('leave queues out where the store does not answer', async () => {
    const driver = memoryDriver();
    const broken = { ...driver.inspector, queues: () => Promise.reject(new Error('away')) } as typeof driver.inspector;
    const { lifecycle, value } = await scene({ driver: { ...driver, ...(broken && { inspector: broken }) } });
    await lifecycle.startWorker({ queues: ['default'], concurrency: 3 });
    expect(await value('taskqueue_worker_slots')).toBe(3);
    expect(await value('taskqueue_queue_messages{queue="default",state="ready"}')).toBeUndefined();
  });

  it('tell of beats', async () => {
    const { lifecycle, value } = await scene(
      { schedule: { often: { task: 'add', args: [1, 2], every: '1h' } } },
      'beat',
    );
    await lifecycle.startBeat();
    expect(await value('taskqueue_beat_entries')).toBe(1);
    expect(await value('taskqueue_beat_last_poll_seconds')).toBeGreaterThanOrEqual(0);
    expect(await value('taskqueue_worker_slots')).toBeUndefined();
  });

  it('serve what the application registers itself as well', async () => {
    const own = new prometheus.Counter({ name: 'orders_total', help: 'Orders.' });
    own.inc(5);
    const { value } = await scene();
    expect(await value('orders_total')).toBe(5);
    prometheus.register.removeSingleMetric('orders_total');
  });

  it('need prom-client, and say so', async () => {
    const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    await expect(loadPrometheus('beat', () => Promise.reject(missing))).rejects.toMatchObject({
      code: 'CONFIGURATION_INVALID',
      message: expect.stringMatching(/beat\.metrics.*npm install prom-client/) as string,
    });
  });

  it('need a port', () => {
    expect(() => validateSettings({ worker: { metrics: true }, beat: { metrics: true } })).toThrow(
      /worker\.metrics: expected false without a health port[\s\S]*beat\.metrics/,
    );
  });
});
