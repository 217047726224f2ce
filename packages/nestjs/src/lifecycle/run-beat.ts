import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { openProbes } from '../health/probes.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { reportAndExit } from './report-and-exit.js';
import { ServiceProcess } from './service-process.js';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';

/**
 * Runs a beat as this process: boots the module as an application context, sends what falls due, and ends at SIGTERM or
 * SIGINT with code 0. Any number may run. A start that fails ends the process with code 1, for settings
 * that cannot be used with code 2.
 */
export async function runBeat(module: Type<unknown>): Promise<void> {
  try {
    const service = new ServiceProcess();
    const app = await NestFactory.createApplicationContext(module, { abortOnError: false });
    service.running(app);
    const runtime = app.get(TaskQueueRuntime, { strict: false });
    const probes = await openProbes({ app, service: 'beat', settings: runtime.settings.beat });
    service.finally(() => probes.close());
    const beat = await app.get(TaskQueueLifecycle, { strict: false }).startBeat();
    runtime.logger.log(`${beat.name} watches the schedules`, 'Beat');
  } catch (error) {
    reportAndExit('Beat could not start', error);
  }
}
