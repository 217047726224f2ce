import { UsageError } from '@taskqueue/core';
import type { AmqpQueueType } from './amqp-options.js';

/**
 * Delayed delivery in the broker, by the levels that Celery and Kombu use. The delay in whole seconds is written as 28
 * bits into the routing key. Level L looks at bit L: is it 1, the message waits 2^L seconds in the queue of the level and
 * is dead-lettered to the next lower level; is it 0, it goes there at once.
 *
 * ```text
 *   publish: exchange celery_delayed_27, key b27.b26. … .b0.<queue>
 *
 *   exchange level L ──(bit L is 1)──► queue level L, TTL 2^L s ──expired──┐
 *          └───────────(bit L is 0)────────────────────────────────────────┴──► exchange level L − 1
 *   exchange level 0 ─ likewise ─► celery_delayed_delivery ──28 words and <queue>──► taskqueue.delayed ──the same──► <queue>
 *                                                                                         │
 *                 taskqueue.dead.<queue> ◄──the same── taskqueue.delayed.homeless ◄───────┘ the queue was deleted
 * ```
 *
 * Whole seconds make a retry after 200 ms five times as long. So delays of less than a second wait in a queue of ours for
 * each tenth, instead of the lowest level, and go straight to the last exchange:
 *
 * ```text
 *   publish: exchange taskqueue.delayed.300ms (fanout), key 0.0. … .0.<queue> ──► queue taskqueue.delayed.300ms, TTL 0.3 s
 *                                                     celery_delayed_delivery ◄──expired──┘
 * ```
 *
 * Longer ones could wait for their tenths as well, before they enter the levels. That is one step more for each message, and
 * the steps are what limits RabbitMQ: 2,000 messages a second that fall due came seconds later for it.
 *
 * Messages of one level all wait equally long, so none holds up another. Kombu binds a queue to the delivery exchange with
 * `#.<queue>`, by which the queue `mail` also gets what is for `urgent.mail`; ours counts the 28 words instead. Both
 * bindings of one queue go together: a message is routed to a queue once.
 *
 * The last exchange but one is ours because a quorum level keeps what cannot be delivered, tries it again every three
 * minutes, and tries no more than 32 messages at once: those of a deleted queue would hold up everybody's. What is bound
 * from exchange to exchange outlives the queue, and the alternate exchange takes what has no queue any more: it
 * becomes a dead letter, which can be looked at and redriven. Where the queue of the dead was deleted as well it is
 * dropped, by a queue that keeps nothing.
 */
export const LEVELS = 28;
export const FIRST_EXCHANGE = `celery_delayed_${LEVELS - 1}`;
export const DELIVERY_EXCHANGE = 'celery_delayed_delivery';
/** From which queues get what was delayed for them. */
export const HOME_EXCHANGE = 'taskqueue.delayed';
/** Where that goes whose queue is gone; also a queue, for which the length 0 is the most. */
export const HOMELESS = 'taskqueue.delayed.homeless';

/** How long a message is to wait, as there are queues for it. */
export type AmqpDelay =
  | { readonly seconds: number }
  /** 100, 200, … 900. */
  | { readonly fractionMs: number };

export interface AmqpLevels {
  readonly exchanges: readonly { readonly name: string; readonly kind: 'topic' | 'fanout' }[];
  readonly queues: readonly { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }[];
  readonly bindings: readonly {
    readonly kind: 'queue' | 'exchange';
    readonly from: string;
    readonly to: string;
    readonly pattern: string;
  }[];
}

/** All that has to be declared, in order. */
export function levels(type: AmqpQueueType): AmqpLevels {
  const numbers = Array.from({ length: LEVELS }, (_, index) => LEVELS - 1 - index);
  const fractions = Array.from({ length: 1_000 / STEP_MS - 1 }, (_, index) => (index + 1) * STEP_MS);
  const waiting = (name: string, ms: number, next: string): AmqpLevels['queues'][number] => ({
    name,
    arguments: {
      'x-queue-type': type,
      'x-overflow': 'reject-publish',
      'x-message-ttl': ms,
      'x-dead-letter-exchange': next,
      ...(type === 'quorum' ? { 'x-dead-letter-strategy': 'at-least-once' } : {}),
    },
  });
  return {
    exchanges: [
      ...[...numbers.map(levelName), DELIVERY_EXCHANGE].map((name) => ({ name, kind: 'topic' as const })),
      ...fractions.map((ms) => ({ name: fractionName(ms), kind: 'fanout' as const })),
    ],
    queues: [
      ...numbers.map((level) => waiting(levelName(level), 2 ** level * 1_000, below(level))),
      ...fractions.map((ms) => waiting(fractionName(ms), ms, DELIVERY_EXCHANGE)),
    ],
    bindings: [
      ...numbers.flatMap((level) => {
        const stars = '*.'.repeat(LEVELS - 1 - level);
        const from = levelName(level);
        return [
          { kind: 'queue' as const, from, to: from, pattern: `${stars}1.#` },
          { kind: 'exchange' as const, from, to: below(level), pattern: `${stars}0.#` },
        ];
      }),
      ...fractions.map(fractionName).map((name) => ({ kind: 'queue' as const, from: name, to: name, pattern: '' })),
    ],
  };
}

/** Where a delayed message is published, under which key, and which queue it waits in first. */
export function entranceOf(delay: AmqpDelay, queue: string): AmqpEntrance {
  if ('fractionMs' in delay) {
    const name = fractionName(delay.fractionMs);
    return { exchange: name, key: delayedKey(0, queue), queue: name };
  }
  const { seconds } = delay;
  return {
    exchange: FIRST_EXCHANGE,
    key: delayedKey(seconds, queue),
    queue: levelName(Math.floor(Math.log2(seconds))),
  };
}

export interface AmqpEntrance {
  readonly exchange: string;
  readonly key: string;
  readonly queue: string;
}

/** Is it one of those in which delayed messages wait? */
export function isDelayQueue(queue: string): boolean {
  return /^(celery_delayed_\d+|taskqueue\.delayed\.\d+ms)$/.test(queue);
}

function delayedKey(seconds: number, queue: string): string {
  return `${seconds.toString(2).padStart(LEVELS, '0').split('').join('.')}.${queue}`;
}

/** By which what was delayed for a queue is bound on its last steps. */
export function delayedPattern(queue: string): string {
  return `${'*.'.repeat(LEVELS)}${queue}`;
}

/**
 * How long to wait: never early, late by less than a tenth of a second up to 900 ms, and by less than a second above. Undefined for
 * what is due. Throws UsageError for more than the levels can express, eight and a half years.
 */
export function delayOf(due: { readonly eta?: number; readonly delayMs?: number }, now: number): AmqpDelay | undefined {
  const ms = due.delayMs ?? (due.eta === undefined ? 0 : due.eta - now);
  if (!(ms > 0)) return undefined;
  const fractionMs = Math.ceil(ms / STEP_MS) * STEP_MS;
  if (fractionMs < 1_000) return { fractionMs };
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 2 ** LEVELS) return { seconds };
  const field = due.delayMs === undefined ? 'eta' : 'delayMs';
  throw new UsageError({
    code: 'PUBLISH_FAILED',
    message: `The message cannot be sent: ${field} is ${due.delayMs ?? due.eta}, more than ${2 ** LEVELS - 1} seconds ahead.`,
    fields: { field, value: due.delayMs ?? due.eta },
  });
}

/** Finer steps need more queues. */
const STEP_MS = 100;

function fractionName(ms: number): string {
  return `${HOME_EXCHANGE}.${ms}ms`;
}

function levelName(level: number): string {
  return `celery_delayed_${level}`;
}

function below(level: number): string {
  return level === 0 ? DELIVERY_EXCHANGE : levelName(level - 1);
}
