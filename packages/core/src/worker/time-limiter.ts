import type { Clock, ClockTimer } from '../ambient/clock.js';
import { TaskError } from '../errors/errors.js';
import type { Run } from './run.js';

export interface TimeLimiterOptions {
  readonly clock: Clock;
  readonly softMs: number | undefined;
  readonly hardMs: number | undefined;
  readonly run: Run;
  /** Ends the run whether it likes it or not. */
  readonly terminate: () => void;
}

/** Soft limit: the run's signal aborts. Hard limit: it aborts too, and the pool ends the run. */
export function timeLimiter(options: TimeLimiterOptions): { cancel(): void } {
  const { clock, softMs, hardMs, run, terminate } = options;
  const timers: ClockTimer[] = [];
  if (softMs !== undefined) timers.push(clock.timer(softMs, () => run.abort(softError(run, softMs))));
  if (hardMs !== undefined) {
    timers.push(
      clock.timer(hardMs, () => {
        run.abort(hardError(run.message.task, run.message.id, hardMs));
        terminate();
      }),
    );
  }
  return {
    cancel: () => {
      for (const timer of timers) timer.cancel();
    },
  };
}

/** The failure of a run that passed its hard limit. */
export function hardError(task: string, id: string, limitMs: number): TaskError {
  return new TaskError(
    { code: 'TIME_LIMIT_EXCEEDED', message: `${task}[${id}] exceeded its time limit of ${limitMs} ms.` },
    id,
    undefined,
  );
}

function softError(run: Run, limitMs: number): TaskError {
  const { id, task } = run.message;
  return new TaskError(
    { code: 'SOFT_TIME_LIMIT_EXCEEDED', message: `${task}[${id}] exceeded its soft time limit of ${limitMs} ms.` },
    id,
    undefined,
  );
}
