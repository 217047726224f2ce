import type { INestApplicationContext } from '@nestjs/common';
import { stopSignals } from '@taskqueue/core';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';
import { outliveReaders } from './unread-log.js';

/**
 * A process that is a worker or a beat. It owns the signals and the exit code: 0 after a clean stop, 1 otherwise. A
 * signal during the start ends it at once, because nothing has been taken yet.
 *
 * ```text
 *   starting ──app──► running ──signal──► draining ──► closing the application ──► exit 0
 *      └──signal──► exit 0   │              └──signal again: the grace is over
 *                            └──failed──► closing the application ──► exit 1
 * ```
 */
export class ServiceProcess {
  private app: INestApplicationContext | undefined;
  private ending: Promise<void> | undefined;
  private atLast: () => Promise<void> = () => Promise.resolve();

  constructor() {
    outliveReaders();
    for (const signal of stopSignals()) process.on(signal, () => this.end());
  }

  /** The application is there. Users' own destroy hooks run when no task runs any more: first drain, then close. */
  running(app: INestApplicationContext): void {
    this.app = app;
  }

  /** Done when the application is closed: until then whoever asks is told that it drains. */
  finally(work: () => Promise<void>): void {
    this.atLast = work;
  }

  /** As a signal does it: somebody asked this process to end. `code` 1: the worker cannot go on, and has said why. */
  end(code = 0): void {
    const drained = this.app?.get(TaskQueueLifecycle, { strict: false }).drain() ?? Promise.resolve();
    if (this.ending !== undefined) {
      // The first drain reports what goes wrong.
      drained.catch(() => undefined);
      return;
    }
    this.ending = drained.then(() => this.app?.close()).then(() => this.atLast());
    this.ending.then(
      () => process.exit(code),
      (error: unknown) => {
        process.stderr.write(`Stopping failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  }
}
