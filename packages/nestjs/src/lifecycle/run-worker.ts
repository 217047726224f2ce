import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { WorkerSettings } from '@taskqueue/core';
import { settingsFromEnvironment, takeChildPort } from '@taskqueue/core';
import { openProbes } from '../health/probes.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { runAsChild } from './child-boot.js';
import { parseWorkerArguments } from './command-line.js';
import { reportAndExit } from './report-and-exit.js';
import { ServiceProcess } from './service-process.js';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';

/** Options of {@link runWorker}. They win over the module's; environment and arguments win over them. */
export interface RunWorkerOptions extends Partial<WorkerSettings> {
  /** Default: the process's own arguments. */
  readonly argv?: readonly string[];
}

/**
 * Runs a worker as this process: boots the module as an application context, consumes, and on SIGTERM or SIGINT stops
 * taking tasks, gives running ones the grace, hands back what is left, closes the application and exits with code 0. A
 * second signal shortens the grace. Resolves when the worker consumes; a start that fails ends the process with code 1, for
 * settings that cannot be used with code 2.
 *
 * With the pools `threads` and `prefork` the worker starts this program again for each child, which comes to this call,
 * boots the same module once, and serves runs instead of a worker: for a child it never resolves. Keep what comes before
 * it in the program free of what only one process can do, such as listening on a port.
 */
export async function runWorker(module: Type<unknown>, options: RunWorkerOptions = {}): Promise<void> {
  const port = takeChildPort();
  if (port !== undefined) return runAsChild(module, port);
  const { argv = process.argv.slice(2), ...settings } = options;
  try {
    const command = parseWorkerArguments(argv);
    if (command.kind === 'help') {
      process.stdout.write(`${command.text}\n`);
      process.exit(0);
    }
    await start(module, { ...settings, ...settingsFromEnvironment(process.env).worker, ...command.overrides });
  } catch (error) {
    reportAndExit('The worker could not start', error);
  }
}

async function start(module: Type<unknown>, overrides: Partial<WorkerSettings>): Promise<void> {
  const service = new ServiceProcess();
  const app = await NestFactory.createApplicationContext(module, { abortOnError: false });
  service.running(app);
  const runtime = app.get(TaskQueueRuntime, { strict: false });
  const probes = await openProbes({ app, service: 'worker', settings: runtime.workerSettings(overrides) });
  service.finally(() => probes.close());
  const children = { entry: process.argv[1] ?? '', argv: process.argv.slice(2) };
  const lifecycle = app.get(TaskQueueLifecycle, { strict: false });
  const worker = await lifecycle.startWorker(overrides, {
    children,
    onShutdown: () => service.end(),
    onFailed: () => service.end(1),
  });
  runtime.logger.log(
    `${worker.name} takes tasks from ${worker.queues.join(', ')} (concurrency ${worker.status().concurrency})`,
    'Worker',
  );
}
