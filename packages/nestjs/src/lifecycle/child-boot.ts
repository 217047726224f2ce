import { AsyncLocalStorage } from 'node:async_hooks';
import type { INestApplicationContext, LoggerService, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { ChildPort } from '@taskqueue/core';
import { bootProblem } from '@taskqueue/core';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { outliveReaders } from './unread-log.js';

/** Known while an application boots idle: a boot of its own, so that no other one in the process is touched. */
const booting = new AsyncLocalStorage<true>();

/** Is this application booted as the child of a pool, or for a command? Then it starts no worker, no beat, and connects when it sends. */
export function bootsIdle(): boolean {
  return booting.getStore() === true;
}

/** Boots the module as an application context that starts nothing of the task queue and connects nothing by itself. */
export function bootIdle(
  module: Type<unknown>,
  options: { readonly logger?: LoggerService } = {},
): Promise<INestApplicationContext> {
  return booting.run(true, () => NestFactory.createApplicationContext(module, { abortOnError: false, ...options }));
}

/**
 * Runs the application as a child of a worker: boots it once as a full application context, serves one run at a time,
 * and exits with code 0 when the worker says good-bye, after users' own destroy hooks; with code 1 when it cannot boot
 * or when the worker has gone. Never resolves: what follows `runWorker` in a program is the worker's alone.
 *
 * ```text
 *   booting ──ready──► serving ──good-bye──► closing the application ──► exit 0
 *      └──refused──► exit 1   └──the worker has gone──────────────────► exit 1
 * ```
 */
export async function runAsChild(module: Type<unknown>, port: ChildPort): Promise<never> {
  outliveReaders();
  try {
    const app = await bootIdle(module);
    const end = await app.get(TaskQueueRuntime, { strict: false }).createHost(port).serve();
    if (end === 'left') await app.close();
    process.exit(end === 'left' ? 0 : 1);
  } catch (error) {
    port.send({ type: 'refused', reason: bootProblem(error) });
    process.exit(1);
  }
}
