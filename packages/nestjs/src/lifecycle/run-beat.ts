import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import { stopOnSignals } from './process-signals.js';
import { reportAndExit } from './report-and-exit.js';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';

/**
 * Runs a beat as this process: boots the module as an application context, sends what falls due, and ends at SIGTERM or
 * SIGINT with code 0. Any number may run. A start that fails ends the process with code 1.
 */
export async function runBeat(module: Type<unknown>): Promise<void> {
  try {
    let app: INestApplicationContext | undefined;
    stopOnSignals({
      stop: async () => {
        await app?.get(TaskQueueLifecycle, { strict: false }).drain();
        await app?.close();
      },
    });
    app = await NestFactory.createApplicationContext(module);
    const beat = await app.get(TaskQueueLifecycle, { strict: false }).startBeat();
    app.get(TaskQueueRuntime).logger.log(`${beat.name} watches the schedules`, 'Beat');
  } catch (error) {
    reportAndExit('Beat could not start', error);
  }
}
