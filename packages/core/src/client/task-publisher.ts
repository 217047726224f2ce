import type { Clock } from '../ambient/clock.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import type { PublishEvents } from '../events/publish-events.js';
import { BrokerError, isTaskQueueError, showValue, UsageError } from '../errors/errors.js';
import type { OutgoingMessage, PublishOutcome } from '../ports/broker.js';
import type { Stores } from '../ports/stores.js';
import type { Tracing } from '../ports/tracing.js';
import { mayPass } from './publish-outcome.js';
import type { ApplyOptions, PublishRetry } from './task-call.js';

export interface TaskPublisherOptions {
  readonly stores: Stores;
  readonly settings: TaskQueueSettings;
  readonly clock: Clock;
  /** Awaited before each publish; resolves once the connection stands. */
  readonly ready?: () => Promise<void>;
  /** Are told of what is sent. */
  readonly events?: PublishEvents;
  /** Puts the context of a trace into what is sent. */
  readonly tracing?: Tracing | undefined;
}

/** Between the clocks of two hosts, at most, where they are kept right at all. */
const CLOCKS_DIFFER_BY_MS = 60_000;

/**
 * Hands messages to the broker, and again while it is away:
 *
 * ```text
 *   addressed ──publish──► accepted or known: done
 *                 ▲ │ └──► refused: throws
 *                 │ └──away, or its answer was lost──► wait ──► what has a record got there: left out
 *                 └────────────────────────────────────────────────┘ the rest, as often as the policy says
 * ```
 */
export class TaskPublisher {
  constructor(private readonly options: TaskPublisherOptions) {}

  /** Throws PUBLISH_FAILED, BROKER_UNAVAILABLE, or what the broker refuses a message with. */
  async publish(messages: readonly OutgoingMessage[], options: Pick<ApplyOptions, 'manager' | 'retry'>): Promise<void> {
    const { events, tracing } = this.options;
    events?.publishing(messages);
    if (tracing === undefined) await this.publishDurably(messages, options);
    else await tracing.sending(messages, (carrying) => this.publishDurably(carrying, options));
    // With a manager it is the caller's transaction that sends, or does not.
    if (options.manager === undefined) events?.published(messages);
  }

  private async publishDurably(
    messages: readonly OutgoingMessage[],
    options: Pick<ApplyOptions, 'manager' | 'retry'>,
  ): Promise<void> {
    if (this.options.ready !== undefined) await this.options.ready();
    if (options.manager !== undefined) {
      throwFirst(await this.publishIn(messages, options.manager));
      return;
    }
    const { publishRetries } = this.options.settings;
    const retry = retrySchedule(options.retry, publishRetries);
    const began = this.options.clock.now();
    let open = this.options.stores.results?.expect === undefined ? messages : await this.addressed(messages);
    let outcomes = await this.tryPublish(open);
    if (outcomes.every((outcome) => !('error' in outcome))) return;
    for (let attempt = 0; ; attempt += 1) {
      const again = open.filter((_, index) => mayPass(outcomes[index]));
      if (again.length === 0 || attempt >= retry.max) return throwFirst(outcomes);
      throwFirst(outcomes.filter((outcome) => !mayPass(outcome)));
      await this.options.clock.sleep(Math.min(retry.maxDelayMs, retry.delayMs * 2 ** attempt));
      open = await this.unheard(again, began);
      if (open.length === 0) return;
      outcomes = await this.tryPublish(open);
    }
  }

  /** With the address of this process, where results are sent to whoever called. */
  private async addressed(messages: readonly OutgoingMessage[]): Promise<readonly OutgoingMessage[]> {
    const { results } = this.options.stores;
    if (results?.expect === undefined) return messages;
    const awaited = messages.filter((message) => message.message.headers['ignore_result'] !== true);
    if (awaited.length === 0) return messages;
    const replyTo = await results.expect(awaited.map(({ id }) => id));
    return messages.map((one) => {
      if (!awaited.includes(one)) return one;
      return { ...one, message: { ...one.message, properties: { ...one.message.properties, reply_to: replyTo } } };
    });
  }

  /**
   * A broker knows a repeated publication only while it holds the first one. When only the answer was lost the task may
   * have ended meanwhile, and would run once more: what has a record of these moments got there. An older record is of
   * another task that was given the same id.
   */
  private async unheard(messages: readonly OutgoingMessage[], began: number): Promise<readonly OutgoingMessage[]> {
    const { results } = this.options.stores;
    if (results === undefined) return messages;
    try {
      const records = await results.get(messages.map(({ id }) => id));
      return messages.filter((_, index) => {
        const { doneAt, startedAt } = records[index] ?? {};
        return (doneAt ?? startedAt ?? 0) < began - CLOCKS_DIFFER_BY_MS;
      });
    } catch {
      // A store that is away cannot tell; the broker has the last word.
      return messages;
    }
  }

  private async tryPublish(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    try {
      return await this.options.stores.broker.publish(messages);
    } catch (error) {
      return messages.map(() => ({ status: 'unknown', error: error as Error }));
    }
  }

  private publishIn(messages: readonly OutgoingMessage[], transaction: unknown): Promise<readonly PublishOutcome[]> {
    const { broker } = this.options.stores;
    // Whoever names a manager wants a transaction. To a broker, null is none: the task would be sent whatever becomes of his.
    if (typeof transaction !== 'object' || transaction === null) throw noManager(transaction);
    if (broker.capabilities.transactions) return broker.publish(messages, { transaction });
    throw new UsageError({
      code: 'CAPABILITY_UNSUPPORTED',
      message: 'This broker cannot enqueue inside a database transaction.',
      remedy: 'Leave `manager` out and send after the commit, or use the SQL broker.',
      fields: { field: 'manager' },
    });
  }
}

function noManager(value: unknown): UsageError {
  return new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `manager must be an EntityManager with an open transaction, got ${showValue(value)}.`,
    remedy: 'Pass the manager that dataSource.transaction() gives to its callback, or leave the option out.',
    fields: { field: 'manager', value },
  });
}

function throwFirst(outcomes: readonly PublishOutcome[]): void {
  for (const outcome of outcomes) {
    if (!('error' in outcome)) continue;
    if (isTaskQueueError(outcome.error)) throw outcome.error;
    throw new BrokerError({
      code: 'PUBLISH_FAILED',
      message: `The broker did not accept the message: ${outcome.error.message}`,
      retryable: outcome.status === 'unknown',
      cause: outcome.error,
    });
  }
}

function retrySchedule(retry: PublishRetry | false | undefined, defaultMax: number) {
  if (retry === undefined) return { max: defaultMax, delayMs: 100, maxDelayMs: 1_000 };
  if (retry === false) return { max: 0, delayMs: 0, maxDelayMs: 0 };
  return {
    max: retry.max ?? defaultMax,
    delayMs: toMilliseconds(retry.delay ?? 100, 'retry.delay'),
    maxDelayMs: toMilliseconds(retry.maxDelay ?? 1_000, 'retry.maxDelay'),
  };
}
