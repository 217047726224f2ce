import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Deferred } from '../async/deferred.js';
import { deferred } from '../async/deferred.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { BrokerError, isTaskQueueError } from '../errors/errors.js';
import type { Serializer } from '../message/serializer.js';
import { serializerFrom } from '../message/wire-format.js';
import type { Execution, ExecutionControl } from '../ports/execution-pool.js';
import type { EncodedValue } from '../ports/result-backend.js';
import type { Tracing } from '../ports/tracing.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { ChildPort } from './child-port.js';
import { errorFromNote } from './error-note.js';
import { noteOutcome } from './outcome-note.js';
import type { ToChild } from './pool-protocol.js';
import { TaskRunner } from './task-runner.js';

/** What the inside of a child works with. */
export interface PoolHostOptions {
  readonly port: ChildPort;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tracing?: Tracing | undefined;
}

/** When its worker has gone, a handler gets so long to end after its signal has aborted. */
const ORPHAN_GRACE_MS = 1_000;

/**
 * The inside of a child: takes one run at a time, has it run by the same `TaskRunner` as on the worker's own thread, and
 * says how it ended.
 *
 * ```text
 *   serve ──ready──► idle ──run──► running ──outcome──► idle
 *                     │               │ abort: the run's signal
 *                     │ bye           │ the worker has gone: abort, at most a second
 *                     ▼               ▼
 *                  'left'         'orphaned'      (`serve` resolves, and the program ends)
 * ```
 */
export class PoolHost {
  private readonly runner: TaskRunner;
  private readonly serializer: Serializer;
  private readonly end = deferred<'left' | 'orphaned'>();
  private run: RunInHost | undefined;

  constructor(private readonly options: PoolHostOptions) {
    this.serializer = serializerFrom(options.settings);
    const { registry, logger, clock, tracing } = options;
    this.runner = new TaskRunner({ registry, logger, clock, tracing, serializer: this.serializer });
  }

  /** Says that it is ready and serves until its worker says good-bye, or is gone. */
  serve(): Promise<'left' | 'orphaned'> {
    const { port } = this.options;
    port.onMessage((message) => this.hear(message));
    port.onOrphaned(() => void this.orphaned());
    port.send({ type: 'ready' });
    return this.end.promise;
  }

  private hear(message: ToChild): void {
    switch (message.type) {
      case 'run':
        void this.execute(message);
        return;
      case 'abort':
        if (this.run?.id === message.id) this.run.abort(errorFromNote(message.reason));
        return;
      case 'progressed':
        if (this.run?.id === message.id)
          this.run.progressed(message.call, message.error && errorFromNote(message.error));
        return;
      case 'bye':
        this.end.resolve('left');
    }
  }

  private async execute({ id, execution: sent, weigh }: Extract<ToChild, { type: 'run' }>): Promise<void> {
    const { port, registry } = this.options;
    const execution = withBareHeaders(sent);
    const run = new RunInHost(id, port);
    this.run = run;
    const outcome = await this.runner.run(execution, run);
    const definition = registry.find(execution.message.task)?.definition;
    const note = noteOutcome(outcome, execution, { serializer: this.serializer, definition });
    this.run = undefined;
    run.ended.resolve();
    port.send({ type: 'outcome', id, outcome: note, ...(weigh ? { bytes: weight() } : {}) });
  }

  private async orphaned(): Promise<void> {
    const { run } = this;
    if (run !== undefined) {
      run.abort(new BrokerError({ code: 'WORKER_LOST', message: 'The worker of this child has gone.' }));
      await Promise.race([run.ended.promise, this.options.clock.sleep(ORPHAN_GRACE_MS)]);
    }
    this.end.resolve('orphaned');
  }
}

/** Text of a boot that failed: our own errors explain themselves, others need their stack. */
export function bootProblem(error: unknown): string {
  if (isTaskQueueError(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

class RunInHost implements ExecutionControl {
  readonly ended: Deferred<void> = deferred();
  private readonly controller = new AbortController();
  private readonly calls = new Map<number, Deferred<void>>();
  private lastCall = 0;

  constructor(
    readonly id: number,
    private readonly port: ChildPort,
  ) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  progress(value: EncodedValue): Promise<void> {
    const call = (this.lastCall += 1);
    const stored = deferred();
    this.calls.set(call, stored);
    this.port.send({ type: 'progress', id: this.id, call, value });
    return stored.promise;
  }

  traced(context: string): void {
    this.port.send({ type: 'traced', id: this.id, context });
  }

  progressed(call: number, error: Error | undefined): void {
    const stored = this.calls.get(call);
    this.calls.delete(call);
    if (error === undefined) stored?.resolve();
    else stored?.reject(error);
  }
}

/** Without a prototype, as they are where no thread or process lies between: names come from senders. */
function withBareHeaders(execution: Execution): Execution {
  const { message } = execution;
  const customHeaders = Object.assign(Object.create(null) as Record<string, unknown>, message.customHeaders);
  return { ...execution, message: { ...message, customHeaders } };
}

/** Of a process what is resident; a thread cannot know its part of that, so its heap and what its buffers hold. */
function weight(): number {
  if (process.send !== undefined) return process.memoryUsage.rss();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
