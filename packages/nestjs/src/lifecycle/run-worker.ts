import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { WorkerSettings } from '@taskqueue/core';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { parseWorkerArguments } from './command-line.js';
import { stopOnSignals } from './process-signals.js';
import { reportAndExit } from './report-and-exit.js';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';

export interface RunWorkerOptions extends Partial<WorkerSettings> {
  /** Default: the process's own arguments. */
  readonly argv?: readonly string[];
}

/**
 * Runs a worker as this process: boots the module as an application context, consumes, and on SIGTERM or SIGINT stops
 * taking tasks, gives running ones the grace, hands back what is left, closes the application and exits with code 0. A
 * second signal shortens the grace. Resolves when the worker consumes; a start that fails ends the process with code 1.
 */
export async function runWorker(module: Type<unknown>, options: RunWorkerOptions = {}): Promise<void> {
  const { argv = process.argv.slice(2), ...settings } = options;
  try {
    const command = parseWorkerArguments(argv);
    if (command.kind === 'help') {
      process.stdout.write(`${command.text}\n`);
      process.exit(0);
    }
    await start(module, { ...settings, ...withoutUndefined(command.overrides) });
  } catch (error) {
    reportAndExit('The worker could not start', error);
  }
}

async function start(module: Type<unknown>, overrides: Partial<WorkerSettings>): Promise<void> {
  const service = new WorkerProcess();
  stopOnSignals(service);
  const app = await NestFactory.createApplicationContext(module);
  service.app = app;
  const { logger } = app.get(TaskQueueRuntime);
  const worker = await app.get(TaskQueueLifecycle, { strict: false }).startWorker(overrides);
  logger.log(
    `${worker.name} takes tasks from ${worker.queues.join(', ')} (concurrency ${worker.status().concurrency})`,
    'Worker',
  );
}

class WorkerProcess {
  app: INestApplicationContext | undefined;

  /** First drain, then close: users' own destroy hooks run when no task runs any more. */
  async stop(): Promise<void> {
    await this.app?.get(TaskQueueLifecycle, { strict: false }).drain();
    await this.app?.close();
  }
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T;
}
