import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { SerializerRegistry } from '../message/serializer.js';
import type { Execution, ExecutionControl } from '../ports/execution-pool.js';
import { plainFailure } from '../task/judgement.js';
import type { Outcome } from '../task/task-outcome.js';
import type { Child, SpawnChild } from './child.js';
import { errorNote } from './error-note.js';
import { outcomeFromNote } from './outcome-note.js';
import type { FromChild, OutcomeNote } from './pool-protocol.js';

export interface PooledChildOptions {
  readonly spawn: SpawnChild;
  readonly clock: Clock;
  readonly serializers: SerializerRegistry;
  readonly maxTasks: number | undefined;
  readonly maxBytes: number | undefined;
  /** It may have become free, or has ended a run. */
  readonly onChange: (child: PooledChild) => void;
  readonly onGone: (child: PooledChild, end: ChildEnd) => void;
}

/** How a child ended. */
export interface ChildEnd {
  readonly reason: string;
  /** It was asked or made to. */
  readonly expected: boolean;
  /** It ended before it had been of use. */
  readonly useless: boolean;
}

export type ChildState = 'booting' | 'idle' | 'busy' | 'leaving' | 'gone';

/** One that has not booted by then never will. */
const BOOT_MS = 60_000;
/** For an application to close. */
const LEAVE_MS = 5_000;
/** A thread inside a native library cannot be killed before it comes out; its run is over all the same. */
const KILL_MS = 500;
/** One that has stood ready for so long has booted, whatever ends it then: the system that needs memory, an operator. */
const SETTLED_MS = 5_000;

/** A run in a child. `verdict` is how it ends when the child is killed for it. */
interface RunInChild {
  readonly id: number;
  readonly execution: Execution;
  readonly control: ExecutionControl;
  readonly onAbort: () => void;
  readonly resolve: (outcome: Outcome) => void;
  verdict: Outcome | undefined;
}

/**
 * One child of a pool and the run it has.
 *
 * ```text
 *             ┌──────────────outcome──────────────┐
 *             ▼                                   │
 *   booting ─ready─► idle ──────────run────────► busy ──outcome, over its limits──┐
 *      │              └──leave──► leaving ◄───────┼───────────────────────────────┘
 *      │ refused,                    │ bye, 5 s   │ kill (hard limit, abandoned): the verdict is given before
 *      │ 60 s                        ▼            ▼
 *      └──────────────────────────► gone ◄────────┘  by itself: its run, and no other, is lost with it
 * ```
 */
export class PooledChild {
  private current: ChildState = 'booting';
  private readonly child: Child;
  private run: RunInChild | undefined;
  private timer: ClockTimer | undefined;
  private tasks = 0;
  /** Monotonic. */
  private readyAt = Infinity;
  private lastRunId = 0;
  private killed = false;
  private retired = false;
  private refusal: string | undefined;

  constructor(private readonly options: PooledChildOptions) {
    this.child = options.spawn({ heard: (message) => this.hear(message), exited: (reason) => this.gone(reason) });
    this.timer = options.clock.timer(BOOT_MS, () => {
      this.refusal = `It did not boot within ${BOOT_MS / 1_000} s.`;
      this.child.kill();
    });
  }

  get state(): ChildState {
    return this.current;
  }

  get name(): string {
    return this.child.name;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** What it runs. */
  get execution(): Execution | undefined {
    return this.run?.execution;
  }

  /** Only when it is idle. Never rejects. */
  start(execution: Execution, control: ExecutionControl): Promise<Outcome> {
    this.current = 'busy';
    return new Promise((resolve) => {
      const id = (this.lastRunId += 1);
      const { signal } = control;
      const onAbort = (): void => this.child.send({ type: 'abort', id, reason: errorNote(signal.reason) });
      this.run = { id, execution, control, onAbort, resolve, verdict: undefined };
      try {
        this.child.send({ type: 'run', id, execution, weigh: this.options.maxBytes !== undefined });
      } catch (error) {
        // A serializer of the application's own may have read what cannot be cloned.
        this.end({ kind: 'undecided', judgement: plainFailure(error) });
        return;
      }
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  runs(execution: Execution): boolean {
    return this.execution === execution;
  }

  /** Ends its run, if it has one, with this outcome, and itself. */
  kill(verdict: Outcome): void {
    if (this.run !== undefined) {
      this.run.verdict ??= verdict;
      const { run } = this;
      this.options.clock.timer(KILL_MS, () => (this.run === run ? this.settle(verdict) : undefined), { unref: true });
    }
    this.killed = true;
    this.child.kill();
  }

  /** Asks it to close its application and to go. One that boots is killed; one that is busy must be idle first. */
  leave(): void {
    const before = this.current;
    if (before !== 'idle' && before !== 'booting') return;
    this.current = 'leaving';
    this.timer?.cancel();
    if (before === 'booting') return this.child.kill();
    this.child.send({ type: 'bye' });
    this.timer = this.options.clock.timer(LEAVE_MS, () => this.child.kill());
  }

  /** The same, as soon as its run has ended. */
  retire(): void {
    this.retired = true;
    this.leave();
  }

  private hear(message: FromChild): void {
    switch (message.type) {
      case 'ready':
        if (this.current !== 'booting') return;
        this.timer?.cancel();
        this.current = 'idle';
        this.readyAt = this.options.clock.monotonic();
        this.options.onChange(this);
        return;
      case 'refused':
        this.refusal = message.reason;
        return;
      case 'progress':
        void this.record(message);
        return;
      case 'traced':
        if (message.id === this.run?.id) this.run.control.traced?.(message.context);
        return;
      case 'outcome':
        if (message.id !== this.run?.id || this.run.verdict !== undefined) return;
        this.tasks += 1;
        this.end(this.read(message.outcome), this.isUsedUp(message.bytes));
    }
  }

  private async record({ id, call, value }: Extract<FromChild, { type: 'progress' }>): Promise<void> {
    const { run } = this;
    if (run?.id !== id) return;
    try {
      await run.control.progress(value);
      this.child.send({ type: 'progressed', id, call });
    } catch (error) {
      this.child.send({ type: 'progressed', id, call, error: errorNote(error) });
    }
  }

  private read(note: OutcomeNote): Outcome {
    try {
      return outcomeFromNote(note, this.options.serializers);
    } catch (error) {
      return { kind: 'undecided', judgement: plainFailure(error) };
    }
  }

  private isUsedUp(bytes: number | undefined): boolean {
    const { maxTasks, maxBytes } = this.options;
    return (
      (maxTasks !== undefined && this.tasks >= maxTasks) ||
      (maxBytes !== undefined && bytes !== undefined && bytes > maxBytes)
    );
  }

  /** The slot is free before the outcome is heard of, so that what waits starts first. */
  private end(outcome: Outcome, usedUp = false): void {
    this.current = 'idle';
    const settle = this.takeRun();
    if (usedUp || this.retired) this.leave();
    settle?.(outcome);
    this.options.onChange(this);
  }

  private settle(outcome: Outcome): void {
    this.takeRun()?.(outcome);
  }

  private takeRun(): ((outcome: Outcome) => void) | undefined {
    const { run } = this;
    this.run = undefined;
    run?.control.signal.removeEventListener('abort', run.onAbort);
    return run?.resolve;
  }

  private gone(reason: string): void {
    const before = this.current;
    this.current = 'gone';
    this.timer?.cancel();
    const why = this.refusal ?? reason;
    this.settle(this.run?.verdict ?? { kind: 'worker-lost', reason: why });
    this.options.onGone(this, {
      reason: why,
      expected: before === 'leaving' || this.killed,
      useless: before === 'booting' || (before === 'idle' && this.tasks === 0 && !this.isSettled),
    });
  }

  private get isSettled(): boolean {
    return this.options.clock.monotonic() - this.readyAt >= SETTLED_MS;
  }
}
