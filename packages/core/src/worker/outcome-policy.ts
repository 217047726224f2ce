import type { Clock } from '../ambient/clock.js';
import { abandonedSteps, continuationOfFailure, continuationOfSuccess } from '../canvas/continuation.js';
import type { MessageBuilder } from '../client/message-builder.js';
import type { TaskCall } from '../client/task-call.js';
import { toMilliseconds } from '../config/duration.js';
import type { FailureRecord } from '../errors/errors.js';
import { encodeValue } from '../message/encoded-value.js';
import { failureFrom } from '../message/failure.js';
import type { Serializer } from '../message/serializer.js';
import type { OutgoingMessage } from '../ports/broker.js';
import type { Settlement, SettlementEffects } from '../ports/delivery.js';
import type { ResultRecord } from '../ports/result-backend.js';
import { matches, retriesError, retryDelayMs } from '../task/retry-policy.js';
import { revokedRecord } from '../task/revoked-record.js';
import type { Outcome } from '../task/task-outcome.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { RetryOptions } from '../task/task-signals.js';
import type { TaskState } from '../task/task-state.js';
import type { Run } from './run.js';
import type { Refusal } from './refusal.js';
import { hardError } from './time-limiter.js';
import type { RevocationList } from './revocation-list.js';
import type { WorkerEvents } from './worker-events.js';

export interface OutcomePolicyOptions {
  readonly worker: string;
  readonly builder: MessageBuilder;
  readonly serializer: Serializer;
  readonly registry: TaskRegistry;
  readonly clock: Clock;
  readonly random: () => number;
  /** Results are kept at all. */
  readonly results: boolean;
  readonly resultExpiresMs: number | undefined;
  readonly events: WorkerEvents;
  readonly revocations: Pick<RevocationList, 'has'>;
}

export interface Finished {
  readonly run: Run;
  readonly outcome: Outcome;
  readonly runtimeMs: number;
}

/** From how a run ended to what becomes of its message, its record and its followers. The table is in task-outcome.ts. */
export class OutcomePolicy {
  constructor(private readonly options: OutcomePolicyOptions) {}

  /** Undefined when the message is someone else's by now. */
  settleOutcome(finished: Finished): Settlement | undefined {
    const { run, outcome } = finished;
    const { events } = this.options;
    switch (outcome.kind) {
      case 'succeeded':
        return this.succeed(finished, outcome.value);
      case 'failed':
        return this.failOrRetry(finished, outcome.error);
      case 'timed-out':
        return this.failOrRetry(finished, hardError(run.message.task, run.message.id, outcome.limitMs));
      case 'retry':
        return this.retry(finished, outcome.options);
      case 'snoozed':
        events.emit({ type: 'task-snoozed', task: run.facts, delayMs: outcome.delayMs });
        return this.replace(finished, { delayMs: outcome.delayMs, changes: {}, results: [] });
      case 'ignored':
        events.emit({ type: 'task-ignored', task: run.facts });
        return this.end(finished, { results: this.keep(run, [this.record(run, 'IGNORED', this.times(run))]) });
      case 'rejected':
        return this.reject(finished, outcome);
      case 'revoked':
        return this.endRevoked(finished);
      case 'interrupted':
        events.emit({ type: 'task-interrupted', task: run.facts });
        return this.release(finished);
      case 'lost':
        events.emit({ type: 'task-lost', task: run.facts });
        return undefined;
    }
  }

  settleRefusal(refusal: Refusal): Settlement {
    const { delivery, envelope, verdict } = refusal;
    const isKept = this.options.results && envelope !== undefined && !envelope.ignoreResult;
    const results = isKept ? [this.refusalRecord(refusal)] : [];
    return verdict.kind === 'revoked'
      ? { kind: 'ack', delivery, effects: { results } }
      : { kind: 'dead-letter', delivery, reason: verdict.reason, effects: { results } };
  }

  /** A record of this run with what every record has. */
  record(run: Run, state: TaskState, extra: Partial<ResultRecord> = {}): ResultRecord {
    const { message, delivery } = run;
    const periodic = message.customHeaders['periodic_task_name'];
    return {
      taskId: message.id,
      state,
      name: message.task,
      run: delivery.run,
      attempts: run.attempt,
      queue: delivery.queue,
      worker: this.options.worker,
      argsRepr: message.argsRepr,
      kwargsRepr: message.kwargsRepr,
      rootId: message.rootId,
      ...(message.parentId === undefined ? {} : { parentId: message.parentId }),
      ...(message.group === undefined ? {} : { groupId: message.group }),
      ...(typeof periodic === 'string' ? { periodicTaskName: periodic } : {}),
      ...(delivery.enqueuedAt === undefined ? {} : { createdAt: delivery.enqueuedAt }),
      ...extra,
    };
  }

  private succeed(finished: Finished, value: unknown): Settlement {
    const { run, runtimeMs } = finished;
    let result: ResultRecord['result'];
    let follow: readonly OutgoingMessage[];
    try {
      result = this.keepsResult(run) ? encodeValue(this.options.serializer, value, 'result') : undefined;
      follow = this.follow(continuationOfSuccess(run.message, value));
    } catch (error) {
      // A result that cannot be kept is a failure of the task that no retry mends.
      return this.fail(finished, error);
    }
    const { events } = this.options;
    if (events.heard) events.emit({ type: 'task-succeeded', task: run.facts, runtimeMs });
    // Nothing rides along: the plain end of most tasks that ignore their result.
    if (result === undefined && follow.length === 0 && !this.keepsResult(run)) {
      return { kind: 'ack', delivery: run.delivery };
    }
    const record = this.record(run, 'SUCCESS', {
      ...this.times(run),
      ...(result === undefined ? {} : { result }),
      ...(follow.length === 0 ? {} : { children: follow.map((one) => one.id) }),
    });
    return this.end(finished, { results: this.keep(run, [record]), publish: follow });
  }

  private failOrRetry(finished: Finished, error: unknown): Settlement {
    const { retry } = finished.run.task.definition;
    return retriesError(retry, error) ? this.retry(finished, { cause: error }) : this.fail(finished, error);
  }

  private endRevoked(finished: Finished): Settlement {
    const { run } = finished;
    this.options.events.emit({ type: 'task-revoked', task: run.facts, reason: 'terminated' });
    return this.end(finished, { results: this.keep(run, [this.revoked(run)]) });
  }

  private retry(finished: Finished, options: RetryOptions): Settlement {
    const { run, runtimeMs } = finished;
    if (this.options.revocations.has(run.message.id)) return this.endRevoked(finished);
    const policy = run.task.definition.retry;
    const { retries } = run.message;
    const max = options.max ?? policy.max;
    if (retries >= max)
      return this.fail(finished, options.cause ?? new Error(`No retry is left after ${retries + 1} attempts.`));
    const delayMs = this.retryDelay(options, () => retryDelayMs(policy, retries, this.options.random));
    const failure = options.cause === undefined ? undefined : failureFrom(options.cause);
    this.options.events.emit({ type: 'task-retried', task: run.facts, runtimeMs, delayMs, failure });
    const record = this.record(run, 'RETRY', {
      startedAt: run.startedAt,
      ...(failure === undefined ? {} : { failure }),
    });
    return this.replace(finished, {
      delayMs,
      changes: {
        retries: retries + 1,
        ...(options.args === undefined ? {} : { args: options.args }),
        ...(options.kwargs === undefined ? {} : { kwargs: options.kwargs }),
      },
      results: this.keep(run, [record]),
    });
  }

  private retryDelay(options: RetryOptions, byPolicy: () => number): number {
    if (options.eta !== undefined) return Math.max(0, options.eta.getTime() - this.options.clock.now());
    return options.countdown === undefined ? byPolicy() : toMilliseconds(options.countdown, 'retry.countdown');
  }

  private fail(finished: Finished, error: unknown): Settlement {
    const { run, runtimeMs } = finished;
    const { definition } = run.task;
    const failure = failureFrom(error);
    const expected = definition.throws.some((matcher) => matches(matcher, error));
    this.options.events.emit({ type: 'task-failed', task: run.facts, runtimeMs, failure, expected });
    const keeps = this.keepsResult(run) || definition.storeErrorsEvenIfIgnored;
    const own = this.record(run, 'FAILURE', { ...this.times(run), failure });
    const results = this.options.results && keeps ? [own, ...this.abandoned(run, failure)] : [];
    return this.end(finished, { results, publish: this.follow(continuationOfFailure(run.message)) });
  }

  private abandoned(run: Run, failure: FailureRecord): ResultRecord[] {
    return abandonedSteps(run.message).map((step) => ({
      taskId: step.id,
      state: 'FAILURE',
      name: step.task,
      run: 0,
      attempts: 0,
      parentId: run.message.id,
      rootId: run.message.rootId,
      failure,
      createdAt: this.options.clock.now(),
      ...this.times(run),
    }));
  }

  private reject(finished: Finished, outcome: Extract<Outcome, { kind: 'rejected' }>): Settlement {
    const { run } = finished;
    this.options.events.emit({
      type: 'task-rejected',
      task: run.facts,
      reason: outcome.reason,
      requeue: outcome.requeue,
    });
    if (outcome.requeue) return this.release(finished);
    const failure = failureFrom(outcome.error ?? new Error(outcome.reason));
    const results = this.keep(run, [this.record(run, 'REJECTED', { ...this.times(run), failure })]);
    return { kind: 'dead-letter', delivery: run.delivery, reason: outcome.reason.slice(0, 300), effects: { results } };
  }

  private end(finished: Finished, effects: SettlementEffects): Settlement {
    return { kind: 'ack', delivery: finished.run.delivery, effects };
  }

  private release(finished: Finished): Settlement {
    return { kind: 'release', delivery: finished.run.delivery };
  }

  private replace(
    finished: Finished,
    next: {
      readonly delayMs: number;
      readonly changes: Partial<Run['message']>;
      readonly results: readonly ResultRecord[];
    },
  ): Settlement {
    const { run } = finished;
    const message = this.options.builder.rebuild(
      { ...run.message, ...next.changes },
      { queue: run.delivery.queue, delayMs: next.delayMs },
    );
    return { kind: 'replace', delivery: run.delivery, message, effects: { results: next.results } };
  }

  private follow(calls: readonly TaskCall[]): readonly OutgoingMessage[] {
    return calls.map((call) => this.options.builder.build(call, this.options.registry.find(call.task)?.definition));
  }

  private refusalRecord({ delivery, envelope, verdict }: Refusal): ResultRecord {
    const base = {
      taskId: envelope?.id ?? '',
      name: envelope?.task ?? '',
      run: delivery.run,
      attempts: (envelope?.retries ?? 0) + (delivery.lostLeases ?? 0),
      queue: delivery.queue,
      doneAt: this.options.clock.now(),
    };
    const common = {
      worker: this.options.worker,
      ...(delivery.enqueuedAt === undefined ? {} : { createdAt: delivery.enqueuedAt }),
      ...this.expiry(this.options.registry.find(base.name)?.definition.resultExpiresMs ?? this.options.resultExpiresMs),
    };
    return verdict.kind === 'revoked'
      ? { ...revokedRecord({ ...base, reason: verdict.reason }), ...common }
      : { ...base, state: 'FAILURE', failure: verdict.failure, ...common };
  }

  private revoked(run: Run): ResultRecord {
    const failure = { type: 'TaskRevokedError', module: 'celery.exceptions', message: 'terminated' };
    return this.record(run, 'REVOKED', { ...this.times(run), failure });
  }

  private keepsResult(run: Run): boolean {
    // The call has the last word; what the task says is merged into the message when it is sent.
    return this.options.results && !run.message.ignoreResult;
  }

  private keep(run: Run, records: readonly ResultRecord[]): readonly ResultRecord[] {
    return this.keepsResult(run) ? records : [];
  }

  private times(run: Run): Partial<ResultRecord> {
    return {
      startedAt: run.startedAt,
      doneAt: this.options.clock.now(),
      ...this.expiry(run.task.definition.resultExpiresMs ?? this.options.resultExpiresMs),
    };
  }

  private expiry(ms: number | undefined): Partial<ResultRecord> {
    return ms === undefined || ms === 0 ? {} : { expiresAt: this.options.clock.now() + ms };
  }
}
