import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { WorkerSettings } from '@taskqueue/core';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { parseWorkerArguments } from './command-line.js';
import { reportAndExit } from './report-and-exit.js';
import { ServiceProcess } from './service-process.js';
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
    await start(module, { ...settings, ...command.overrides });
  } catch (error) {
    reportAndExit('The worker could not start', error);
  }
}

async function start(module: Type<unknown>, overrides: Partial<WorkerSettings>): Promise<void> {
  const service = new ServiceProcess();
  const app = await NestFactory.createApplicationContext(module, { abortOnError: false });
  service.running(app);
  const { logger } = app.get(TaskQueueRuntime, { strict: false });
  const worker = await app.get(TaskQueueLifecycle, { strict: false }).startWorker(overrides);
  logger.log(
    `${worker.name} takes tasks from ${worker.queues.join(', ')} (concurrency ${worker.status().concurrency})`,
    'Worker',
  );
}
