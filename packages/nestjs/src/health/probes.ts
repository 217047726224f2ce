import type { INestApplicationContext } from '@nestjs/common';
import type { Clock, ProbeSettings } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { HealthFile } from './health-file.js';
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
      const server = new ProbeServer({ '/livez': live, '/readyz': readiness(health, clock) });
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

/** Whoever asks twice a second, or from many places, asks the stores no more often than this. */
const FRESH_MS = 1_000;

function readiness(health: TaskQueueHealth, clock: Clock): () => Promise<ProbeAnswer> {
  let last: { readonly at: number; readonly answer: Promise<ProbeAnswer> } | undefined;
  return () => {
    const now = clock.monotonic();
    if (last === undefined || now - last.at >= FRESH_MS) last = { at: now, answer: ready(health) };
    return last.answer;
  };
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
