import type { Clock } from '../ambient/clock.js';
import {
  abandonedSteps,
  continuationOfFailure,
  continuationOfSuccess,
  hasContinuation,
  membersEnded,
} from '../canvas/continuation.js';
import type { Expansion } from '../canvas/expand.js';
import type { MessageBuilder } from '../client/message-builder.js';
import { toMilliseconds } from '../config/duration.js';
import type { FailureRecord } from '../errors/errors.js';
import { encodeValue } from '../message/encoded-value.js';
import { failureFrom } from '../message/failure.js';
import type { Serializer } from '../message/serializer.js';
import type { TaskMessage } from '../message/task-message.js';
import { MAX_COUNT } from '../message/wire-fields.js';
import type { OutgoingMessage } from '../ports/broker.js';
import type { EndedMember } from '../ports/chord-store.js';
import type { Settlement, SettlementEffects } from '../ports/delivery.js';
import type { ResultRecord } from '../ports/result-backend.js';
import { PREVIOUS_ATTEMPT } from '../ports/tracing.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { Judgement } from '../task/judgement.js';
import { judge, plainFailure } from '../task/judgement.js';
import { retryDelayMs } from '../task/retry-policy.js';
import { revokedRecord } from '../task/revoked-record.js';
import type { Outcome } from '../task/task-outcome.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { RetryOptions } from '../task/task-signals.js';
import type { TaskState } from '../task/task-state.js';
import type { Run } from './run.js';
import type { RecordInMaking } from './run-record.js';
import { runRecord } from './run-record.js';
import type { Refusal } from './refusal.js';
import { lossesOf, refuse } from './refusal.js';
import { hardError } from './time-limiter.js';
import type { RevocationList } from './revocation-list.js';
import type { WorkerEvents } from './worker-events.js';
import { taskSucceeded } from './worker-events.js';

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
  /** What has lost so many workers and children is not run again. */
  readonly maxLost: number;
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
    const { definition } = run.task;
    switch (outcome.kind) {
      case 'succeeded':
        return this.succeed(finished, outcome);
      case 'failed':
        return this.failOrRetry(finished, outcome.judgement ?? judge(definition, outcome.error));
      case 'undecided':
        return this.fail(finished, outcome.judgement);
      case 'timed-out': {
        const error = hardError(run.message.task, run.message.id, outcome.limitMs);
        return this.failOrRetry(finished, judge(definition, error));
      }
      case 'retry': {
        const { options } = outcome;
        const cause = options.cause === undefined ? undefined : judge(definition, options.cause);
        return this.retry(finished, options, outcome.judgement ?? cause);
      }
      case 'worker-lost':
        return this.countLoss(finished, outcome.reason);
      case 'snoozed':
        events.emit({ type: 'task-snoozed', task: run.facts, delayMs: outcome.delayMs });
        return this.replace(finished, { delayMs: outcome.delayMs, changes: { lostChildren: 0 }, results: [] });
      case 'ignored':
        events.emit({ type: 'task-ignored', task: run.facts });
        return this.end(finished, {
          results: this.keep(run, [this.record(run, 'IGNORED', this.times(run))]),
          ...chordNews([], membersEnded(run.message, { state: 'IGNORED' })),
        });
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

  /** For an outcome that could not be decided: what was asked for cannot be, or a test of the task's policy threw. */
  settleUndecided(finished: Finished, error: unknown): Settlement {
    try {
      return this.fail(finished, plainFailure(error));
    } catch (again) {
      // Not even its followers can be written.
      const { run } = finished;
      const failure = failureFrom(again);
      const results = this.keep(run, [this.record(run, 'FAILURE', { ...this.times(run), failure })]);
      const reason = `undecided: ${failure.message}`.slice(0, 300);
      return { kind: 'dead-letter', delivery: run.delivery, reason, effects: { results } };
    }
  }

  /** `message` is given where the task may be a member of a chord, which would wait for it for ever. */
  settleRefusal(refusal: Refusal, message?: TaskMessage): Settlement {
    const { delivery, verdict } = refusal;
    const record = this.refusalRecord(refusal);
    const { state, failure } = record;
    const ended = message === undefined ? [] : membersEnded(message, { state, ...(failure && { failure }) });
    const effects = { results: this.keepsRefusal(refusal) ? [record] : [], ...chordNews([], ended) };
    return verdict.kind === 'revoked'
      ? { kind: 'ack', delivery, effects }
      : { kind: 'dead-letter', delivery, reason: verdict.reason, effects };
  }

  /** Is anything kept of this run: its states, progress and result? */
  keepsResult(run: Run): boolean {
    // The call has the last word; what the task says is merged into the message when it is sent.
    return this.options.results && !run.message.ignoreResult;
  }

  /** Can a record be kept of a run of this message, if only of its failure? */
  mayRecord({ storeErrorsEvenIfIgnored }: TaskDefinition, { ignoreResult }: TaskMessage): boolean {
    return this.options.results && (!ignoreResult || storeErrorsEvenIfIgnored);
  }

  record(run: Run, state: TaskState, extra: Partial<ResultRecord> = {}): ResultRecord {
    return runRecord(run, this.options.worker, state, extra);
  }

  /** Will anybody see what it returns? Otherwise it may be anything. */
  wantsValue(run: Run): boolean {
    return run.message.chord !== undefined || hasContinuation(run.message) || this.keepsResult(run);
  }

  private succeed(finished: Finished, outcome: Extract<Outcome, { kind: 'succeeded' }>): Settlement {
    const { run } = finished;
    let result: ResultRecord['result'];
    let follow: readonly OutgoingMessage[];
    let opened: Expansion['opened'];
    let ended: readonly EndedMember[] = [];
    try {
      const { chord } = run.message;
      const isKept = this.keepsResult(run) || chord !== undefined;
      result = isKept ? (outcome.encoded ?? encodeValue(this.options.serializer, outcome.value, 'result')) : undefined;
      const next = hasContinuation(run.message) ? continuationOfSuccess(run.message, outcome.value) : NOTHING;
      follow = this.follow(next);
      opened = next.opened;
      if (chord !== undefined) ended = membersEnded(run.message, { state: 'SUCCESS', ...(result && { result }) });
    } catch (error) {
      // A result that cannot be kept is a failure of the task that no retry mends.
      return this.fail(finished, judge(run.task.definition, error));
    }
    const { events } = this.options;
    if (events.heard) events.emit(taskSucceeded(run.facts, finished.runtimeMs, outcome));
    // Nothing rides along: the plain end of most tasks that ignore their result.
    if (result === undefined && follow.length === 0 && !this.keepsResult(run)) {
      return { kind: 'ack', delivery: run.delivery };
    }
    const extra = this.times(run);
    if (result !== undefined) extra.result = result;
    if (follow.length > 0) extra.children = follow.map((one) => one.id);
    const record = this.record(run, 'SUCCESS', extra);
    return this.end(finished, { results: this.keep(run, [record]), publish: follow, ...chordNews(opened, ended) });
  }

  private failOrRetry(finished: Finished, judgement: Judgement): Settlement {
    return judgement.retried ? this.retry(finished, {}, judgement) : this.fail(finished, judgement);
  }

  /** Back to its queue, as if its worker had been lost with it; but the broker did not see that, so the message says it. */
  private countLoss(finished: Finished, reason: string): Settlement {
    const { run } = finished;
    const losses = lossesOf(run.delivery, run.message) + 1;
    this.options.events.emit({ type: 'task-crashed', task: run.facts, reason, losses });
    if (losses < this.options.maxLost) {
      return this.replace(finished, { delayMs: 0, changes: { lostChildren: losses }, results: [] });
    }
    const message = { ...run.message, lostChildren: (run.message.lostChildren ?? 0) + 1 };
    const refusal = refuse.poison(run.delivery, message);
    this.options.events.emit(refusal.event);
    return this.settleRefusal(refusal, message);
  }

  private endRevoked(finished: Finished): Settlement {
    const { run } = finished;
    this.options.events.emit({ type: 'task-revoked', task: run.facts, reason: 'terminated' });
    const record = this.revoked(run);
    const { state, failure } = record;
    const ended = membersEnded(run.message, { state, ...(failure && { failure }) });
    return this.end(finished, { results: this.keep(run, [record]), ...chordNews([], ended) });
  }

  /** `judgement` is of what makes it necessary. */
  private retry(finished: Finished, options: RetryOptions, judgement: Judgement | undefined): Settlement {
    const { run, runtimeMs } = finished;
    if (this.options.revocations.has(run.message.id)) return this.endRevoked(finished);
    const policy = run.task.definition.retry;
    const { retries } = run.message;
    const max = options.max ?? policy.max;
    if (retries >= max) {
      const last = 'cause' in options ? options.cause : noRetryLeft(retries + 1);
      return this.fail(finished, judgement ?? judge(run.task.definition, last));
    }
    const delayMs = this.retryDelay(options, () => retryDelayMs(policy, retries, this.options.random));
    const failure = judgement?.failure;
    this.options.events.emit({ type: 'task-retried', task: run.facts, runtimeMs, delayMs, failure });
    const record = this.record(run, 'RETRY', {
      startedAt: run.startedAt,
      ...(failure === undefined ? {} : { failure }),
    });
    return this.replace(finished, {
      delayMs,
      changes: {
        retries: retries + 1,
        lostChildren: 0,
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

  private fail(finished: Finished, { failure, expected }: Judgement): Settlement {
    const { run, runtimeMs } = finished;
    const { definition } = run.task;
    this.options.events.emit({ type: 'task-failed', task: run.facts, runtimeMs, failure, expected });
    const keeps = this.keepsResult(run) || definition.storeErrorsEvenIfIgnored;
    const own = this.record(run, 'FAILURE', { ...this.times(run), failure });
    const results = this.options.results && keeps ? [own, ...this.abandoned(run, failure)] : [];
    const next = continuationOfFailure(run.message);
    const news = chordNews(next.opened, membersEnded(run.message, { state: 'FAILURE', failure }));
    return this.end(finished, { results, publish: this.follow(next), ...news });
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
      ...(run.message.replyTo === '' ? {} : { replyTo: run.message.replyTo }),
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
    const failure = outcome.failure ?? failureFrom(outcome.error ?? new Error(outcome.reason));
    const results = this.keep(run, [this.record(run, 'REJECTED', { ...this.times(run), failure })]);
    const effects = { results, ...chordNews([], membersEnded(run.message, { state: 'REJECTED', failure })) };
    return { kind: 'dead-letter', delivery: run.delivery, reason: outcome.reason.slice(0, 300), effects };
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
      { ...run.message, ...next.changes, ...linkedTo(run) },
      { queue: run.delivery.queue, delayMs: next.delayMs },
    );
    return { kind: 'replace', delivery: run.delivery, message, effects: { results: next.results } };
  }

  private follow({ calls }: Expansion): readonly OutgoingMessage[] {
    return calls.map((call) => this.options.builder.build(call, this.options.registry.find(call.task)?.definition));
  }

  private keepsRefusal({ envelope, verdict }: Refusal): boolean {
    if (!this.options.results || envelope === undefined) return false;
    const definition = this.options.registry.find(envelope.task)?.definition;
    return !envelope.ignoreResult || (verdict.kind === 'dead' && definition?.storeErrorsEvenIfIgnored === true);
  }

  private refusalRecord({ delivery, envelope, verdict }: Refusal): ResultRecord {
    const definition = envelope === undefined ? undefined : this.options.registry.find(envelope.task)?.definition;
    const expiresMs = this.expiresMs(definition);
    const doneAt = this.options.clock.now();
    const base = {
      taskId: envelope?.id ?? '',
      name: envelope?.task ?? '',
      run: delivery.run,
      attempts: envelope === undefined ? 0 : Math.min(MAX_COUNT, envelope.retries + lossesOf(delivery, envelope)),
      queue: delivery.queue,
      doneAt,
    };
    const common = {
      worker: this.options.worker,
      ...(envelope === undefined || envelope.replyTo === '' ? {} : { replyTo: envelope.replyTo }),
      ...(delivery.enqueuedAt === undefined ? {} : { createdAt: delivery.enqueuedAt }),
      ...(expiresMs === 0 ? {} : { expiresAt: doneAt + expiresMs }),
    };
    return verdict.kind === 'revoked'
      ? { ...revokedRecord({ ...base, reason: verdict.reason }), ...common }
      : { ...base, state: 'FAILURE', failure: verdict.failure, ...common };
  }

  private revoked(run: Run): ResultRecord {
    const failure = { type: 'TaskRevokedError', module: 'celery.exceptions', message: 'terminated' };
    return this.record(run, 'REVOKED', { ...this.times(run), failure });
  }

  private keep(run: Run, records: readonly ResultRecord[]): readonly ResultRecord[] {
    return this.keepsResult(run) ? records : [];
  }

  private times(run: Run): Partial<RecordInMaking> {
    const doneAt = this.options.clock.now();
    const times: Partial<RecordInMaking> = { startedAt: run.startedAt, doneAt };
    const expiresMs = this.expiresMs(run.task.definition);
    if (expiresMs > 0) times.expiresAt = doneAt + expiresMs;
    return times;
  }

  /** 0: never. */
  private expiresMs(definition: TaskDefinition | undefined): number {
    return definition?.resultExpiresMs ?? this.options.resultExpiresMs ?? 0;
  }
}

const NOTHING: Expansion = { calls: [], opened: [] };

/** Nothing for the many tasks that have nothing to do with chords. */
function chordNews(opened: Expansion['opened'], ended: readonly EndedMember[]): Pick<SettlementEffects, 'chords'> {
  return opened.length === 0 && ended.length === 0 ? {} : { chords: { opened, ended } };
}

function noRetryLeft(attempts: number): Error {
  return new Error(`No retry is left after ${attempts} attempts.`);
}

/** The next attempt belongs to the same trace, and knows the one before. */
function linkedTo({ trace, message: { customHeaders } }: Run): Partial<Run['message']> {
  return trace === undefined ? {} : { customHeaders: { ...customHeaders, [PREVIOUS_ATTEMPT]: trace } };
}
