import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { isStampRevocation, revokedBy } from '../control/stamp-revocation.js';
import { isTaskQueueError } from '../errors/errors.js';
import type { DecodeOptions } from '../message/celery-protocol.js';
import { decodeBody, openEnvelope } from '../message/celery-protocol.js';
import type { TaskEnvelope, TaskMessage } from '../message/task-message.js';
import type { Delivery, SettleOutcome, Settlement } from '../ports/delivery.js';
import type { Execution, ExecutionPool } from '../ports/execution-pool.js';
import type { EncodedValue, ResultBackend, ResultRecord } from '../ports/result-backend.js';
import type { Outcome } from '../task/task-outcome.js';
import type { RegisteredTask, TaskRegistry } from '../task/task-registry.js';
import { afterFault } from './after-fault.js';
import { parkEarly, postponed } from './early.js';
import type { EndedBefore } from './ended-before.js';
import type { InterruptReason } from './interruption.js';
import { afterEarlyAck, interruptError } from './interruption.js';
import type { Lookahead } from './lookahead.js';
import type { Finished } from './outcome-policy.js';
import { OutcomePolicy } from './outcome-policy.js';
import type { RateLimiter } from './rate-limiter.js';
import type { RevocationList } from './revocation-list.js';
import { Run } from './run.js';
import type { Refusal } from './refusal.js';
import { chordMember, lossesOf, refuse } from './refusal.js';
import type { Settler } from './settler.js';
import { timeLimiter } from './time-limiter.js';
import type { TimeLimits } from './time-limits.js';
import type { WorkerEvents } from './worker-events.js';

export interface ExecutorOptions {
  readonly worker: string;
  readonly registry: TaskRegistry;
  readonly pool: ExecutionPool;
  readonly settler: Settler;
  readonly policy: OutcomePolicy;
  readonly results: ResultBackend | undefined;
  readonly revocations: RevocationList;
  readonly endedBefore: EndedBefore;
  readonly lookahead: Lookahead;
  readonly rates: RateLimiter;
  readonly limits: TimeLimits;
  readonly decoding: DecodeOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Deliveries that lost their runner so often are not started again. */
  readonly maxLost: number;
  readonly trackStarted: boolean;
  readonly events: WorkerEvents;
  /** An early acknowledgement: the run goes on without a lease, which nobody must look for any more. */
  readonly onAcknowledged: (delivery: Delivery) => void;
  /** A delivery ended without having used its slot. */
  readonly onRefused: () => void;
  /** The delivery is not ours any more, or is settled. */
  readonly onSettled: (delivery: Delivery) => void;
}

/** A run that was told to stop, because it was revoked or is someone else's by now, is killed after this where that can be. */
const INTERRUPTED_GRACE_MS = 5_000;

/**
 * One delivery from receipt to settlement:
 *
 * ```text
 *   open headers ─► known? not lost too often? not expired? not revoked? ─► decode ─► (early ack) ─► run under limits
 *        │                         │ no: refuse                                │ no: dead letter        │
 *        │                         │ eta lies ahead: back to the broker until then; its rate is used up: see rate-limiter.ts
 *        └─► dead letter ◄─────────┴──────────────────────────────────────────┘                        ▼
 *                                                   settle with result and follow-ups ◄── convert the outcome
 * ```
 *
 * Cheap header checks come first, so that what must not run is never decoded.
 */
export class Executor {
  private readonly runs = new Map<Delivery, Run>();
  private readonly byTask = new Map<string, Run>();
  private peak = 0;
  private readonly startedOf = new Map<string, number>();
  private readonly interrupted = new Map<Delivery, InterruptReason>();
  /** Of runs in a pool that can kill. */
  private readonly killers = new Map<Delivery, () => void>();
  /** A store is asked whether these may run: they have their slots already, and the pool does not know of them. */
  private readonly asking = new Set<Delivery>();
  private aborting = false;

  constructor(private readonly options: ExecutorOptions) {}

  get active(): readonly Run[] {
    return [...this.runs.values()];
  }

  /** Task name → how often one was started here. */
  get started(): ReadonlyMap<string, number> {
    return this.startedOf;
  }

  get activeCount(): number {
    return this.runs.size;
  }

  /** Slots of what does not run yet, and will unless the store says no. */
  get reserved(): number {
    return this.asking.size;
  }

  /** The most that ran at once since this was asked last. */
  takePeak(): number {
    const { peak } = this;
    this.peak = this.runs.size;
    return peak;
  }

  /** Takes a delivery whose slot is free. Never throws: what goes wrong is logged, and the delivery handed back. */
  execute(delivery: Delivery): void {
    try {
      this.process(delivery);
    } catch (error) {
      this.unprocessed(delivery, error);
    }
  }

  /** For a worker whose grace is over: all runs are aborted, and so is what begins after this. */
  abort(): void {
    this.aborting = true;
    for (const run of this.active) this.interrupt(run.delivery, 'shutdown');
  }

  /** Aborts a run; its outcome is then decided by the reason, not by what the handler does. */
  interrupt(delivery: Delivery, reason: InterruptReason): void {
    const run = this.runs.get(delivery);
    if (run === undefined || this.interrupted.has(delivery)) return;
    this.interrupted.set(delivery, reason);
    run.abort(interruptError(run, reason));
    // A shutdown has a grace of its own.
    if (reason === 'shutdown' || !this.options.pool.preemptible) return;
    this.options.clock.timer(INTERRUPTED_GRACE_MS, () => this.killers.get(delivery)?.(), { unref: true });
  }

  /** `taskId` may stand for a stamp: then all runs that bear it. */
  interruptTask(taskId: string, reason: InterruptReason): void {
    if (isStampRevocation(taskId)) {
      for (const run of this.active) if (revokedBy(run.message).includes(taskId)) this.interrupt(run.delivery, reason);
      return;
    }
    const run = this.byTask.get(taskId);
    if (run !== undefined) this.interrupt(run.delivery, reason);
  }

  /** Not async, nor is what it hands on to: each such function costs every task a promise, and keeps alive what it knows. */
  private process(delivery: Delivery): void {
    const { decoding, registry, clock } = this.options;
    let envelope: TaskEnvelope;
    try {
      envelope = openEnvelope(delivery.message, decoding);
    } catch (error) {
      return this.refused(refuse.malformed(delivery, error));
    }
    const task = registry.find(envelope.task);
    const now = clock.now();
    const refusal = this.admission(delivery, envelope, task, now);
    if (refusal !== undefined) return this.refused(refusal);
    const parked = parkEarly(delivery, envelope, now);
    if (parked !== undefined) return this.withoutSlot(parked);
    if (!this.options.rates.isIdle && this.isHeldByRate(delivery, envelope)) return;
    let message: TaskMessage;
    try {
      // The envelope is ours alone, so it may become the message.
      message = Object.assign(envelope, decodeBody(delivery.message, envelope, decoding));
    } catch (error) {
      return this.refused(refuse.undecodable(delivery, envelope, error));
    }
    void this.run(delivery, task as RegisteredTask, message);
  }

  /** True for what may not start yet, and is seen to: parked here for a moment, or given back. */
  private isHeldByRate(delivery: Delivery, envelope: TaskEnvelope): boolean {
    const admission = this.options.rates.admit(envelope.task, delivery, `${envelope.id}:${delivery.run}`);
    if (admission === 'start') return false;
    if (admission === 'parked') this.options.onRefused();
    else this.withoutSlot(postponed(delivery, envelope, admission.delayMs));
    return true;
  }

  /** Gives back what was parked and has to wait for longer. Never throws, as `execute`. */
  postpone(delivery: Delivery, delayMs: number): void {
    const { settler, decoding } = this.options;
    try {
      settler.end(postponed(delivery, openEnvelope(delivery.message, decoding), delayMs), this.settled);
    } catch (error) {
      this.unprocessed(delivery, error);
    }
  }

  private admission(delivery: Delivery, envelope: TaskEnvelope, task: RegisteredTask | undefined, now: number) {
    if (lossesOf(delivery, envelope) >= this.options.maxLost) return refuse.poison(delivery, envelope);
    if (task === undefined) return refuse.unknownTask(delivery, envelope);
    if (envelope.expires !== undefined && envelope.expires <= now) return refuse.expired(delivery, envelope);
    const { revocations } = this.options;
    if (revocations.has(envelope.id) || revocations.hasStampOf(envelope)) return refuse.revoked(delivery, envelope);
    return undefined;
  }

  private refused(refusal: Refusal): void {
    const { policy, events, decoding } = this.options;
    const { event } = refusal;
    // Monitors know a task's name from here only.
    if (events.heardInFull && 'task' in event) events.emit({ type: 'task-received', task: event.task });
    events.emit(event);
    this.withoutSlot(policy.settleRefusal(refusal, chordMember(refusal, decoding)));
  }

  private withoutSlot(settlement: Settlement): void {
    this.options.settler.end(settlement, this.settled);
    this.options.onRefused();
  }

  private readonly settled = (_outcome: SettleOutcome, settlement: Settlement): void => {
    this.options.onSettled(settlement.delivery);
  };

  /** The fault is ours. Leases of a consumer may be renewed together, so what is not handed back may stay with us for good. */
  private unprocessed(delivery: Delivery, error: unknown): void {
    const { settler, logger, decoding, maxLost } = this.options;
    const stack = error instanceof Error ? error.stack : String(error);
    logger.error('A delivery could not be processed and is handed back.', stack, 'Executor');
    const run = this.runs.get(delivery);
    if (run !== undefined) this.finish(run);
    settler.end(afterFault(delivery, { decoding, maxLost }), this.settled);
    this.unreserved(delivery);
  }

  /** Never rejects. */
  private async run(delivery: Delivery, task: RegisteredTask, message: TaskMessage): Promise<void> {
    const { settler, clock, events, endedBefore, lookahead } = this.options;
    const early = task.definition.ack === 'early';
    try {
      const hasToWait = early || this.byTask.has(message.id) || endedBefore.mayHave(delivery, message);
      if (hasToWait && !(await this.mayBegin(delivery, message, early))) return this.unreserved(delivery);
      // With no step in between from one who has a slot to one who runs in it.
      this.asking.delete(delivery);
      const run = this.begin(delivery, task, message);
      if (events.heardInFull) events.emit({ type: 'task-received', task: run.facts });
      if (events.heard) events.emit({ type: 'task-started', task: run.facts });
      if (task.definition.trackStarted ?? this.options.trackStarted) this.recordStart(run);
      const began = clock.monotonic();
      if (this.aborting) this.interrupt(delivery, 'shutdown');
      const outcome = this.overruled(run, this.aborting ? INTERRUPTED : await this.runInPool(run));
      const runtimeMs = clock.monotonic() - began;
      lookahead.observe(runtimeMs);
      this.finish(run);
      const settlement = this.decide({ run, outcome: early ? afterEarlyAck(outcome, run) : outcome, runtimeMs });
      if (events.heardInFull) events.emit({ type: 'task-ended', task: run.facts, runtimeMs, outcome: outcome.kind });
      if (settlement !== undefined && !early) return settler.end(settlement, this.settled);
      if (settlement !== undefined) await settler.complete(settlement);
      this.options.onSettled(delivery);
    } catch (error) {
      this.unprocessed(delivery, error);
    }
  }

  /** False when it is over already, and seen to. */
  private async mayBegin(delivery: Delivery, message: TaskMessage, early: boolean): Promise<boolean> {
    const { settler, endedBefore, onAcknowledged, onSettled } = this.options;
    // What it waits for has a slot; it takes one more only when that is over.
    if (this.byTask.has(message.id)) await this.endOf(message.id);
    this.asking.add(delivery);
    if (endedBefore.mayHave(delivery, message) && (await endedBefore.has(message))) {
      settler.end({ kind: 'ack', delivery }, this.settled);
      return false;
    }
    if (!early) return true;
    const isOurs = (await settler.settle({ kind: 'ack', delivery })) === 'settled';
    if (isOurs) onAcknowledged(delivery);
    else onSettled(delivery);
    return isOurs;
  }

  private unreserved(delivery: Delivery): void {
    this.asking.delete(delivery);
    this.options.onRefused();
  }

  /** Whatever a handler asked for, its message is settled: it would stay leased to this worker otherwise, and its caller wait. */
  private decide(finished: Finished): Settlement | undefined {
    const { policy } = this.options;
    try {
      return policy.settleOutcome(finished);
    } catch (error) {
      return policy.settleUndecided(finished, error);
    }
  }

  /**
   * A lost lease may bring a task back to the very worker that still runs it. Its old run is told to stop, and the new
   * one waits for that, so that a task never runs twice side by side in one worker.
   */
  private async endOf(taskId: string): Promise<void> {
    const previous = this.byTask.get(taskId);
    if (previous === undefined) return;
    this.interrupt(previous.delivery, 'lease-lost');
    await previous.ended;
  }

  private begin(delivery: Delivery, task: RegisteredTask, message: TaskMessage): Run {
    const { clock, policy } = this.options;
    const isRecorded = policy.mayRecord(task.definition, message);
    const run = new Run({ delivery, task, message, clock, record: this.recordProgress, isRecorded });
    this.runs.set(delivery, run);
    if (this.runs.size > this.peak) this.peak = this.runs.size;
    this.byTask.set(message.id, run);
    this.startedOf.set(message.task, (this.startedOf.get(message.task) ?? 0) + 1);
    return run;
  }

  private runInPool(run: Run): Promise<Outcome> {
    const { pool } = this.options;
    const { hardMs, softMs } = this.options.limits.of(run.message, run.task.definition);
    const execution: Execution = {
      message: hardMs === run.message.timeLimitMs ? run.message : { ...run.message, timeLimitMs: hardMs },
      queue: run.delivery.queue,
      run: run.delivery.run,
      attempt: run.attempt,
      worker: this.options.worker,
      deadline: hardMs === undefined ? undefined : run.startedAt + hardMs,
      wantsValue: this.options.policy.wantsValue(run),
    };
    if (pool.preemptible) this.killers.set(run.delivery, this.terminator(execution));
    if (softMs === undefined && hardMs === undefined) return pool.run(execution, run);
    return this.runWithin(softMs, hardMs, execution, run);
  }

  private runWithin(
    softMs: number | undefined,
    hardMs: number | undefined,
    execution: Execution,
    run: Run,
  ): Promise<Outcome> {
    const { pool, clock } = this.options;
    const limiter = timeLimiter({ clock, softMs, hardMs, run, terminate: this.terminator(execution) });
    return pool.run(execution, run).finally(() => limiter.cancel());
  }

  private terminator(execution: Execution): () => void {
    return () => this.options.pool.terminate(execution);
  }

  /** What stopped a run from outside decides its outcome, unless the handler succeeded all the same. */
  private overruled(run: Run, outcome: Outcome): Outcome {
    const reason = this.interrupted.get(run.delivery);
    const timedOut = outcome.kind === 'timed-out';
    if (timedOut && !this.options.pool.preemptible) {
      this.options.events.emit({ type: 'task-stuck', task: run.facts, limitMs: outcome.limitMs });
    }
    if (reason === undefined || (timedOut && reason === 'shutdown')) return outcome;
    if (reason === 'lease-lost') return { kind: 'lost' };
    if (outcome.kind === 'succeeded') return outcome;
    return reason === 'revoked' ? { kind: 'revoked' } : { kind: 'interrupted' };
  }

  private finish(run: Run): void {
    this.runs.delete(run.delivery);
    this.interrupted.delete(run.delivery);
    this.killers.delete(run.delivery);
    if (this.byTask.get(run.message.id) === run) this.byTask.delete(run.message.id);
    run.finish();
  }

  private recordStart(run: Run): void {
    if (!this.options.policy.keepsResult(run)) return;
    const record = this.options.policy.record(run, 'STARTED', { startedAt: run.startedAt });
    this.put(record).catch((error: unknown) => {
      this.options.logger.warn(`The start of ${run.message.id} could not be recorded: ${String(error)}`, 'Executor');
    });
  }

  private readonly recordProgress = async (run: Run, progress: EncodedValue): Promise<void> => {
    if (!this.runs.has(run.delivery) || !this.options.policy.keepsResult(run)) return;
    const record = this.options.policy.record(run, 'PROGRESS', {
      progress,
      result: progress,
      startedAt: run.startedAt,
    });
    try {
      await this.put(record);
    } catch (error) {
      // A store that is away for a moment is no failure of the task; what comes after will be recorded.
      if (!isTaskQueueError(error) || !error.retryable) throw error;
      this.options.logger.warn(`Progress of ${run.message.id} was not recorded: ${error.message}`, 'Executor');
    }
  };

  private async put(record: ResultRecord): Promise<void> {
    await this.options.results?.put([record]);
  }
}

const INTERRUPTED: Outcome = { kind: 'interrupted' };
