import type { INestApplicationContext } from '@nestjs/common';
import type { ProbeSettings } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { MetricsPage } from '../metrics/metrics-page.js';
import { loadPrometheus } from '../metrics/prometheus.js';
import { HealthFile } from './health-file.js';
import { onceASecond } from './once-a-second.js';
import type { ProbeAnswer } from './probe-server.js';
import { json, ProbeServer } from './probe-server.js';
import { TaskQueueHealth } from './task-queue.health.js';

export interface ProbesInit {
  readonly app: INestApplicationContext;
  readonly service: 'worker' | 'beat';
  readonly settings: ProbeSettings;
}

/** What a process shows of itself while it runs. */
export interface Probes {
  /** On which it listens; undefined where none was asked for. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

/**
 * Opens what the settings ask for, before the worker or beat starts, so that its start shows as well:
 *
 * ```text
 *             starting   running                      draining   closed
 *   /livez      200        200                           200     refused      (blocked loop: no answer)
 *   /readyz     503        200, or 503 with a reason     503     refused
 *   /metrics  as /livez, where the settings ask for it
 *   file      touched    touched                       touched   removed
 * ```
 *
 * Rejects with a ConfigurationError for a port or file that cannot be had.
 */
export async function openProbes({ app, service, settings }: ProbesInit): Promise<Probes> {
  const { healthPort, healthHost, healthFile } = settings;
  const { clock, logger } = app.get(TaskQueueRuntime, { strict: false });
  const opened: { close(): Promise<void> }[] = [];
  let port: number | undefined;
  const close = async (): Promise<void> => void (await Promise.all(opened.splice(0).map((one) => one.close())));
  try {
    if (healthPort !== undefined) {
      const health = app.get(TaskQueueHealth, { strict: false });
      const routes: Record<string, () => Promise<ProbeAnswer>> = {
        '/livez': live,
        '/readyz': onceASecond(clock, () => ready(health)),
      };
      if (settings.metrics) {
        const metrics = new MetricsPage(await loadPrometheus(service), app, service);
        opened.push(metrics);
        routes['/metrics'] = metrics.answer;
      }
      const server = new ProbeServer(routes);
      port = await server.listen(healthPort, healthHost).catch((cause: unknown) => {
        throw cannot(`${service}.healthPort`, 'a port and a host that can be listened on', healthPort, cause);
      });
      opened.push(server);
      logger.log(`Health is told on ${healthHost}:${port}`, 'TaskQueue');
    }
    if (healthFile !== undefined) {
      const file = new HealthFile({ path: healthFile, clock, logger });
      await file.start().catch((cause: unknown) => {
        throw cannot(`${service}.healthFile`, 'a file that can be written', healthFile, cause);
      });
      opened.push(file);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { port, close };
}

const ALIVE = json(200, { status: 'up' });

/** That this is called at all is the answer. */
function live(): Promise<ProbeAnswer> {
  return Promise.resolve(ALIVE);
}

async function ready(health: TaskQueueHealth): Promise<ProbeAnswer> {
  const { taskQueue } = await health.ready();
  if (taskQueue === undefined) throw new Error('The health of the queue is not known.');
  const { workers, beats } = taskQueue;
  if (taskQueue.status === 'up' && workers.length + beats.length === 0) {
    return json(503, { ...taskQueue, status: 'down', reason: 'Nothing has started yet.' });
  }
  return json(taskQueue.status === 'up' ? 200 : 503, taskQueue);
}

function cannot(path: string, expected: string, value: unknown, cause: unknown): ConfigurationError {
  return new ConfigurationError([{ path, expected, value, remedy: cause instanceof Error ? cause.message : '' }]);
}
