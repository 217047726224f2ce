import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { TaskError } from '../errors/errors.js';
import type { DecodeOptions } from '../message/celery-protocol.js';
import { decodeBody, openEnvelope } from '../message/celery-protocol.js';
import type { TaskEnvelope, TaskMessage } from '../message/task-message.js';
import type { Delivery } from '../ports/delivery.js';
import type { Execution, ExecutionPool } from '../ports/execution-pool.js';
import type { EncodedValue, ResultBackend, ResultRecord } from '../ports/result-backend.js';
import type { Outcome } from '../task/task-outcome.js';
import type { RegisteredTask, TaskRegistry } from '../task/task-registry.js';
import type { Lookahead } from './lookahead.js';
import { OutcomePolicy } from './outcome-policy.js';
import type { RevocationList } from './revocation-list.js';
import { Run } from './run.js';
import type { Refusal } from './refusal.js';
import { refuse } from './refusal.js';
import type { Settler } from './settler.js';
import { timeLimiter } from './time-limiter.js';
import type { WorkerEvents } from './worker-events.js';

export interface ExecutorOptions {
  readonly worker: string;
  readonly registry: TaskRegistry;
  readonly pool: ExecutionPool;
  readonly settler: Settler;
  readonly policy: OutcomePolicy;
  readonly results: ResultBackend | undefined;
  readonly revocations: RevocationList;
  readonly lookahead: Lookahead;
  readonly decoding: DecodeOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Deliveries that lost their runner so often are not started again. */
  readonly maxLostLeases: number;
  readonly trackStarted: boolean;
  readonly events: WorkerEvents;
  /** An early acknowledgement: the run goes on without a lease, which nobody must look for any more. */
  readonly onAcknowledged: (delivery: Delivery) => void;
  /** A delivery ended without having used its slot. */
  readonly onRefused: () => void;
  /** The delivery is not ours any more, or is settled. */
  readonly onSettled: (delivery: Delivery) => void;
}

/** Why the worker stops a run from outside; the reason of the run's signal. */
export type InterruptReason = 'shutdown' | 'lease-lost' | 'revoked';

/**
 * One delivery from receipt to settlement:
 *
 * ```text
 *   open headers ─► known? not lost too often? not expired? not revoked? ─► decode ─► (early ack) ─► run under limits
 *        │                         │ no: refuse                                │ no: dead letter        │
 *        └─► dead letter ◄─────────┴──────────────────────────────────────────┘                        ▼
 *                                                   settle with result and follow-ups ◄── convert the outcome
 * ```
 *
 * Cheap header checks come first, so that what must not run is never decoded.
 */
export class Executor {
  private readonly runs = new Map<Delivery, Run>();
  private readonly byTask = new Map<string, Run>();
  private readonly interrupted = new Map<Delivery, InterruptReason>();

  constructor(private readonly options: ExecutorOptions) {}

  get active(): readonly Run[] {
    return [...this.runs.values()];
  }

  get activeCount(): number {
    return this.runs.size;
  }

  /** Takes a delivery whose slot is free. Never rejects: what goes wrong is logged and left to the lease. */
  async execute(delivery: Delivery): Promise<void> {
    try {
      await this.process(delivery);
    } catch (error) {
      const stack = error instanceof Error ? error.stack : undefined;
      this.options.logger.error('A delivery could not be processed; its lease will end.', stack, 'Executor');
    } finally {
      this.options.onSettled(delivery);
    }
  }

  /** Aborts a run; its outcome is then decided by the reason, not by what the handler does. */
  interrupt(delivery: Delivery, reason: InterruptReason): void {
    const run = this.runs.get(delivery);
    if (run === undefined || this.interrupted.has(delivery)) return;
    this.interrupted.set(delivery, reason);
    run.abort(interruptError(run, reason));
  }

  interruptTask(taskId: string, reason: InterruptReason): void {
    const run = this.byTask.get(taskId);
    if (run !== undefined) this.interrupt(run.delivery, reason);
  }

  private async process(delivery: Delivery): Promise<void> {
    const opened = refuse.malformed(delivery, () => openEnvelope(delivery.message, this.options.decoding));
    if ('refusal' in opened) return this.refused(opened.refusal);
    const envelope = opened.value;
    const task = this.options.registry.find(envelope.task);
    const refusal = this.admission(delivery, envelope, task);
    if (refusal !== undefined) return this.refused(refusal);
    const decoded = refuse.undecodable(delivery, envelope, () =>
      // The envelope is ours alone, so it may become the message.
      Object.assign(envelope, decodeBody(delivery.message, envelope, this.options.decoding)),
    );
    if ('refusal' in decoded) return this.refused(decoded.refusal);
    await this.run(delivery, task as RegisteredTask, decoded.value);
  }

  private admission(delivery: Delivery, envelope: TaskEnvelope, task: RegisteredTask | undefined) {
    const now = this.options.clock.now();
    if ((delivery.lostLeases ?? 0) >= this.options.maxLostLeases) return refuse.poison(delivery, envelope);
    if (task === undefined) return refuse.unknownTask(delivery, envelope);
    if (envelope.expires !== undefined && envelope.expires <= now) return refuse.expired(delivery, envelope);
    if (this.options.revocations.has(envelope.id)) return refuse.revoked(delivery, envelope);
    return undefined;
  }

  private async refused(refusal: Refusal): Promise<void> {
    const { policy, events, settler, onRefused } = this.options;
    events.emit(refusal.event);
    const settled = settler.settle(policy.settleRefusal(refusal));
    onRefused();
    await settled;
  }

  private async run(delivery: Delivery, task: RegisteredTask, message: TaskMessage): Promise<void> {
    const { settler, policy, clock, events } = this.options;
    if (this.byTask.has(message.id)) await this.endOf(message.id);
    const early = task.definition.ack === 'early';
    if (early) {
      if ((await settler.settle({ kind: 'ack', delivery })) === 'lost') return;
      this.options.onAcknowledged(delivery);
    }
    const run = this.begin(delivery, task, message);
    if (events.heard) events.emit({ type: 'task-started', task: run.facts });
    if (task.definition.trackStarted ?? this.options.trackStarted) this.recordStart(run);
    const began = clock.monotonic();
    const outcome = await this.runInPool(run);
    const runtimeMs = clock.monotonic() - began;
    this.options.lookahead.observe(runtimeMs);
    this.finish(run);
    if (early) {
      const settlement = policy.settleOutcome({ run, outcome: afterEarlyAck(outcome, run), runtimeMs });
      if (settlement !== undefined) await settler.complete(settlement);
      return;
    }
    const settlement = policy.settleOutcome({ run, outcome, runtimeMs });
    if (settlement !== undefined) await settler.settle(settlement);
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
    const run = new Run({ delivery, task, message, clock: this.options.clock, record: this.recordProgress });
    this.runs.set(delivery, run);
    this.byTask.set(message.id, run);
    return run;
  }

  private async runInPool(run: Run): Promise<Outcome> {
    const { pool, clock } = this.options;
    const { definition } = run.task;
    const hardMs = run.message.timeLimitMs ?? definition.timeLimitMs;
    const softMs = run.message.softTimeLimitMs ?? definition.softTimeLimitMs;
    const execution: Execution = {
      message: hardMs === run.message.timeLimitMs ? run.message : { ...run.message, timeLimitMs: hardMs },
      queue: run.delivery.queue,
      run: run.delivery.run,
      attempt: run.attempt,
      worker: this.options.worker,
      deadline: hardMs === undefined ? undefined : run.startedAt + hardMs,
    };
    const limiter = timeLimiter({ clock, softMs, hardMs, run, terminate: () => pool.terminate(execution) });
    const outcome = await pool.run(execution, run);
    limiter.cancel();
    return this.overruled(run, outcome);
  }

  /** What stopped a run from outside decides its outcome, unless the handler succeeded all the same. */
  private overruled(run: Run, outcome: Outcome): Outcome {
    const reason = this.interrupted.get(run.delivery);
    if (outcome.kind === 'timed-out') {
      if (!this.options.pool.preemptible) {
        this.options.events.emit({ type: 'task-stuck', task: run.facts, limitMs: outcome.limitMs });
      }
      return outcome;
    }
    if (reason === undefined) return outcome;
    if (reason === 'lease-lost') return { kind: 'lost' };
    if (outcome.kind === 'succeeded') return outcome;
    return reason === 'revoked' ? { kind: 'revoked' } : { kind: 'interrupted' };
  }

  private finish(run: Run): void {
    this.runs.delete(run.delivery);
    this.interrupted.delete(run.delivery);
    if (this.byTask.get(run.message.id) === run) this.byTask.delete(run.message.id);
    run.finish();
  }

  private recordStart(run: Run): void {
    const record = this.options.policy.record(run, 'STARTED', { startedAt: run.startedAt });
    this.put(record).catch((error: unknown) => {
      this.options.logger.warn(`The start of ${run.message.id} could not be recorded: ${String(error)}`, 'Executor');
    });
  }

  private readonly recordProgress = async (run: Run, progress: EncodedValue): Promise<void> => {
    if (!this.runs.has(run.delivery)) return;
    await this.put(
      this.options.policy.record(run, 'PROGRESS', { progress, result: progress, startedAt: run.startedAt }),
    );
  };

  private async put(record: ResultRecord): Promise<void> {
    await this.options.results?.put([record]);
  }
}

/** What was acknowledged before the run cannot go back to its queue: it ends here. */
function afterEarlyAck(outcome: Outcome, run: Run): Outcome {
  if (outcome.kind === 'interrupted') return { kind: 'failed', error: run.signal.reason };
  if (outcome.kind === 'rejected') return { ...outcome, requeue: false };
  return outcome;
}

function interruptError(run: Run, reason: InterruptReason): TaskError {
  const { id, task } = run.message;
  const messages = {
    shutdown: { code: 'WORKER_LOST', message: `The worker shuts down; ${task}[${id}] goes back to its queue.` },
    'lease-lost': { code: 'LEASE_LOST', message: `The lease of ${task}[${id}] was lost; someone else runs it now.` },
    revoked: { code: 'TASK_REVOKED', message: `${task}[${id}] was revoked while it ran.` },
  } as const;
  return new TaskError(messages[reason], id, undefined);
}
