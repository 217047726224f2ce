import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Duration } from '../config/duration.js';
import { BrokerError } from '../errors/errors.js';
import type { Serializer } from '../message/serializer.js';
import { encodeValue } from '../message/encoded-value.js';
import type { Execution, ExecutionControl } from '../ports/execution-pool.js';
import type { TaskContext, TaskLogger } from './task-context.js';
import { taskFields } from './task-fields.js';
import type { TaskDefinition } from './task-definition.js';
import type { RetryOptions } from './task-signals.js';
import { Retry, Snooze } from './task-signals.js';

/** What a context needs of its surroundings; the same for all runs. */
export interface RunContextSurroundings {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly serializer: Serializer;
}

/** The context of one run. A class, so that a run pays only for what its handler touches. */
export class RunContext implements TaskContext {
  private ended = false;
  private taskLogger: TaskLogger | undefined;

  constructor(
    private readonly surroundings: RunContextSurroundings,
    private readonly execution: Execution,
    private readonly control: ExecutionControl,
    private readonly definition: TaskDefinition,
  ) {}

  get id(): string {
    return this.execution.message.id;
  }
  get name(): string {
    return this.execution.message.task;
  }
  get queue(): string {
    return this.execution.queue;
  }
  get attempt(): number {
    return this.execution.attempt;
  }
  get retries(): number {
    return this.execution.message.retries;
  }
  get maxRetries(): number {
    return this.definition.retry.max;
  }
  get idempotencyKey(): string {
    return this.execution.message.id;
  }
  get fence(): number {
    return this.execution.run;
  }
  get rootId(): string {
    return this.execution.message.rootId;
  }
  get parentId(): string | undefined {
    return this.execution.message.parentId;
  }
  get args(): readonly unknown[] {
    return this.execution.message.args;
  }
  get kwargs(): Readonly<Record<string, unknown>> {
    return this.execution.message.kwargs;
  }
  get headers(): Readonly<Record<string, unknown>> {
    return this.execution.message.customHeaders;
  }
  get periodicTaskName(): string | undefined {
    const name = this.headers['periodic_task_name'];
    return typeof name === 'string' ? name : undefined;
  }
  get eta(): Date | undefined {
    return date(this.execution.message.eta);
  }
  get expires(): Date | undefined {
    return date(this.execution.message.expires);
  }
  get worker(): string {
    return this.execution.worker;
  }
  get deadline(): Date | undefined {
    return date(this.execution.deadline);
  }
  get signal(): AbortSignal {
    return this.control.signal;
  }
  get logger(): TaskLogger {
    this.taskLogger ??= taskLogger(this.boundLogger(), this.name, this.id);
    return this.taskLogger;
  }

  retry(options?: RetryOptions): never {
    throw new Retry(options);
  }

  snooze(delay: Duration, reason?: string): never {
    throw new Snooze(delay, reason);
  }

  async progress(value: unknown): Promise<void> {
    this.assertLive();
    await this.control.progress(encodeValue(this.surroundings.serializer, value, 'progress'));
  }

  async heartbeat(): Promise<void> {
    this.assertLive();
    await this.surroundings.clock.sleep(0);
    this.signal.throwIfAborted();
  }

  /** The run has ended: nothing is recorded any more. */
  close(): void {
    this.ended = true;
  }

  private boundLogger(): Logger {
    const { logger } = this.surroundings;
    return logger.withFields?.(taskFields(this)) ?? logger;
  }

  private assertLive(): void {
    this.signal.throwIfAborted();
    if (!this.ended) return;
    throw new BrokerError({
      code: 'LEASE_LOST',
      message: `Task ${this.name}[${this.id}] has ended; its context records nothing any more.`,
      remedy: 'Await everything that uses the context before the handler returns.',
    });
  }
}

function taskLogger(logger: Logger, name: string, id: string): TaskLogger {
  const label = `${name}[${id}]`;
  return {
    error: (message, error) =>
      logger.error(`${label} ${message}`, error instanceof Error ? error.stack : undefined, 'Task'),
    warn: (message) => logger.warn(`${label} ${message}`, 'Task'),
    log: (message) => logger.log(`${label} ${message}`, 'Task'),
    debug: (message) => logger.debug(`${label} ${message}`, 'Task'),
    verbose: (message) => logger.verbose(`${label} ${message}`, 'Task'),
  };
}

function date(epochMs: number | undefined): Date | undefined {
  return epochMs === undefined ? undefined : new Date(epochMs);
}
