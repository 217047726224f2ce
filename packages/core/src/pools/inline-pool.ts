import type { Execution, ExecutionControl, ExecutionPool } from '../ports/execution-pool.js';
import type { Outcome } from '../task/task-outcome.js';
import type { TaskRunner } from './task-runner.js';

/**
 * Concurrent promises on this thread. It cannot kill: a run that passes its hard limit is written off, which means
 * that its outcome is decided as timed-out, whatever it still does is not heard, and another slot takes its place
 * until it ends at last.
 *
 * ```text
 *   idle ──run──► running ──ends──► idle
 *                    └──terminate──► stuck (a new idle slot is opened) ──ends──► gone
 * ```
 */
export class InlinePool implements ExecutionPool {
  readonly kind = 'inline';
  readonly preemptible = false;
  private running = 0;
  private stuckRuns = 0;
  private limit: number;
  private readonly listeners = new Set<() => void>();
  private readonly terminators = new Map<Execution, () => void>();

  constructor(
    private readonly runner: TaskRunner,
    options: { readonly size: number },
  ) {
    this.limit = options.size;
  }

  get size(): number {
    return this.limit;
  }

  get idle(): number {
    return Math.max(0, this.limit - this.running);
  }

  get stuck(): number {
    return this.stuckRuns;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  run(execution: Execution, control: ExecutionControl): Promise<Outcome> {
    this.running += 1;
    if (execution.deadline === undefined) return this.runner.run(execution, control, this.release);
    return this.runTerminable(execution, this.runner.run(execution, control));
  }

  terminate(execution: Execution): void {
    this.terminators.get(execution)?.();
  }

  resize(size: number): void {
    this.limit = size;
    this.announce();
  }

  onIdle(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  abandon(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.listeners.clear();
    return Promise.resolve();
  }

  private runTerminable(execution: Execution, work: Promise<Outcome>): Promise<Outcome> {
    return new Promise((resolve) => {
      let written = false;
      this.terminators.set(execution, () => {
        written = true;
        this.stuckRuns += 1;
        this.terminators.delete(execution);
        resolve({ kind: 'timed-out', limitMs: execution.message.timeLimitMs ?? 0 });
        this.release();
      });
      void work.then((outcome) => {
        this.terminators.delete(execution);
        if (written) {
          this.stuckRuns -= 1;
          return;
        }
        resolve(outcome);
        this.release();
      });
    });
  }

  private readonly release = (): void => {
    this.running -= 1;
    this.announce();
  };

  private announce(): void {
    for (const listener of this.listeners) listener();
  }
}
