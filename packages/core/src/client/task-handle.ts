import type { Duration } from '../config/duration.js';
import { toMilliseconds } from '../config/duration.js';
import type { FailureRecord } from '../errors/errors.js';
import { ResultError, TaskError, UsageError } from '../errors/errors.js';
import { decodeValue } from '../message/encoded-value.js';
import { errorFromFailure } from '../message/failure.js';
import type { CommandSigner } from '../control/command-signature.js';
import { revokeCommand } from '../control/revoke-command.js';
import type { SerializerRegistry } from '../message/serializer.js';
import type { Clock } from '../ambient/clock.js';
import type { ResultBackend, ResultRecord } from '../ports/result-backend.js';
import type { RevocationRequest } from '../ports/revocations.js';
import type { Stores } from '../ports/stores.js';
import type { TaskState } from '../task/task-state.js';
import { isTerminal } from '../task/task-state.js';
import { waitForEnd } from './result-waiter.js';

export interface TaskHandleContext {
  readonly stores: Pick<Stores, 'broker' | 'pubsub' | 'results' | 'revocations' | 'revokedWaiting'>;
  /** How long the record of a task is kept that was revoked while it waited; 0: for ever. */
  readonly resultExpiresMs: number;
  readonly serializers: SerializerRegistry;
  readonly clock: Clock;
  /** Signs what workers are told; absent: it is not signed. */
  readonly signer?: CommandSigner | undefined;
  /** Aborts when the application closes. */
  readonly closed?: AbortSignal | undefined;
}

/**
 * Every worker reads the revocations at least this often. A task that a worker has taken already is known to be stopped,
 * or to have ended, only after that.
 */
const REVOCATION_SPREADS_MS = 1_500;
const REVOCATION_LOOK_MS = 50;

/** Revocations are remembered this long. */
export const REVOCATION_LIVES_MS = 7 * 86_400_000;

/** One task that was sent: its state, its result, and the way to revoke it. `R` is the type of the result. */
export class TaskHandle<R = unknown> {
  constructor(
    readonly id: string,
    private readonly context: TaskHandleContext,
  ) {}

  /** Everything the store knows; undefined for a task it does not know (yet, or any more). */
  async record(): Promise<ResultRecord | undefined> {
    const [record] = await this.results().get([this.id]);
    return record;
  }

  /** PENDING for a task the store does not know. */
  async state(): Promise<TaskState> {
    return (await this.record())?.state ?? 'PENDING';
  }

  /** Has it ended, well or not? */
  async ready(): Promise<boolean> {
    return isTerminal(await this.state());
  }

  /**
   * Waits for the end and gives the result. Rejects with a TaskError when the task did not succeed (its `failure` and
   * `cause` carry the remote error with its stack), with RESULT_TIMEOUT when it takes longer than `timeout`, and with
   * RESULT_UNAVAILABLE when the application closes first.
   */
  async get(options: { readonly timeout?: Duration; readonly signal?: AbortSignal } = {}): Promise<R> {
    const timeoutMs = options.timeout === undefined ? undefined : toMilliseconds(options.timeout, 'timeout');
    const { clock, closed } = this.context;
    const record = await waitForEnd(this.results(), clock, this.id, { timeoutMs, signal: options.signal, closed });
    return this.unwrap(record);
  }

  /** The result if the task has succeeded by now; undefined otherwise. */
  async result(): Promise<R | undefined> {
    const record = await this.record();
    return record?.state === 'SUCCESS' ? this.unwrap(record) : undefined;
  }

  /** The failure if the task has failed, will be retried, or was refused; undefined otherwise. */
  async error(): Promise<FailureRecord | undefined> {
    return (await this.record())?.failure;
  }

  /** Attempts begun so far. */
  async attempts(): Promise<number> {
    return (await this.record())?.attempts ?? 0;
  }

  /** What the handler reported last; undefined when it reported nothing. */
  async progress(): Promise<unknown> {
    const progress = (await this.record())?.progress;
    return progress === undefined ? undefined : decodeValue(this.context.serializers, progress);
  }

  /**
   * After this resolved, a task that had not started will not start. With `terminate`, one that runs is told to stop
   * through its signal and ends REVOKED unless it succeeds first.
   */
  async revoke(options: { readonly terminate?: boolean } = {}): Promise<void> {
    const { stores, clock, resultExpiresMs } = this.context;
    if (stores.revocations === undefined) {
      throw noRevocations();
    }
    const request: RevocationRequest = {
      taskId: this.id,
      terminate: options.terminate ?? false,
      expiresAt: clock.now() + REVOCATION_LIVES_MS,
      waiting: stores.revokedWaiting,
      recordExpiresAt: resultExpiresMs === 0 ? undefined : clock.now() + resultExpiresMs,
    };
    const removed = await stores.revocations.revoke([request]);
    await this.tellCelery(request.terminate);
    if (!removed.includes(this.id)) await this.revocationSpread();
  }

  /** Removes the record from the store. */
  async forget(): Promise<void> {
    await this.results().forget([this.id]);
  }

  /** Python's workers do not read our store. They are told on a best-effort basis, as Celery tells them. */
  private async tellCelery(terminate: boolean): Promise<void> {
    const { pubsub, broker } = this.context.stores;
    if (pubsub === undefined || broker.capabilities.privateQueues === true) return;
    const command = revokeCommand({ taskIds: [this.id], terminate, isStored: true });
    await pubsub.publish([this.context.signer?.sign(command) ?? command]).catch(() => undefined);
  }

  /** Waits until every worker knows of the revocation, or the task has ended. */
  private async revocationSpread(): Promise<void> {
    const { clock, stores } = this.context;
    const until = clock.monotonic() + REVOCATION_SPREADS_MS;
    while (clock.monotonic() < until) {
      // Results by rpc are not ours to read where somebody else has sent the task.
      const [record] = (await stores.results?.get([this.id]).catch(() => [])) ?? [];
      if (record !== undefined && isTerminal(record.state)) return;
      await clock.sleep(REVOCATION_LOOK_MS);
    }
  }

  private results(): ResultBackend {
    const { results } = this.context.stores;
    if (results !== undefined) return results;
    throw new UsageError({
      code: 'RESULTS_REQUIRED',
      message: 'No result backend is configured, so states and results cannot be read.',
      remedy: 'Give `results` a driver that keeps results.',
    });
  }

  private unwrap(record: ResultRecord): R {
    switch (record.state) {
      case 'SUCCESS':
        return (record.result === undefined ? undefined : decodeValue(this.context.serializers, record.result)) as R;
      case 'IGNORED':
        return undefined as R;
      case 'FAILURE':
      case 'REVOKED':
      case 'REJECTED':
        throw taskError(record);
      default:
        throw new ResultError({
          code: 'RESULT_UNAVAILABLE',
          message: `Task ${record.taskId} is ${record.state} and has no result yet.`,
          retryable: true,
        });
    }
  }
}

/** What a waiting caller is told of a task that did not succeed. */
export function taskError(record: ResultRecord): TaskError {
  const { failure } = record;
  const code =
    record.state === 'REVOKED'
      ? failure?.message === 'expired'
        ? 'TASK_EXPIRED'
        : 'TASK_REVOKED'
      : record.state === 'REJECTED'
        ? 'TASK_REJECTED'
        : failedCode(failure);
  const what = failure === undefined ? record.state : `${failure.type}: ${failure.message}`;
  return new TaskError(
    {
      code,
      message: `Task ${record.name}[${record.taskId}] ended ${record.state}: ${what}`,
      fields: { taskId: record.taskId, state: record.state },
      ...(failure === undefined ? {} : { cause: errorFromFailure(failure) }),
    },
    record.taskId,
    failure,
  );
}

function failedCode(failure: FailureRecord | undefined) {
  switch (failure?.code) {
    case 'TIME_LIMIT_EXCEEDED':
    case 'SOFT_TIME_LIMIT_EXCEEDED':
    case 'WORKER_LOST':
    case 'TASK_UNKNOWN':
      return failure.code;
    default:
      return 'TASK_FAILED';
  }
}

export function noRevocations(): UsageError {
  return new UsageError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'Neither the broker nor the result backend can remember revocations.',
    remedy: 'Choose a driver that can, e.g. the SQL one, for results.',
  });
}
