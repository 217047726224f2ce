import { isTaskQueueError } from '../errors/errors.js';
import type { FailureRecord } from '../errors/errors.js';
import type { DecodeOptions } from '../message/celery-protocol.js';
import { decodeBody } from '../message/celery-protocol.js';
import type { TaskEnvelope, TaskMessage } from '../message/task-message.js';
import type { Delivery } from '../ports/delivery.js';
import type { RevokedReason } from '../task/revoked-record.js';
import type { WorkerEvent } from './worker-events.js';
import { UNREADABLE } from './worker-events.js';

/** Why a delivery is not run, and what becomes of it. */
export interface Refusal {
  readonly delivery: Delivery;
  /** Undefined when not even the headers could be read. */
  readonly envelope: TaskEnvelope | undefined;
  readonly verdict:
    | { readonly kind: 'dead'; readonly reason: string; readonly failure: FailureRecord }
    | { readonly kind: 'revoked'; readonly reason: RevokedReason };
  readonly event: WorkerEvent;
}

/** Workers and children that were lost while they ran it: the broker counts the ones, a worker itself the others. */
export function lossesOf({ lostLeases = 0 }: Delivery, { lostChildren = 0 }: TaskEnvelope): number {
  return lostLeases + lostChildren;
}

/** The whole message of a refused task that may be a member of a chord; headers do not say of which. */
export function chordMember({ delivery, envelope }: Refusal, decoding: DecodeOptions): TaskMessage | undefined {
  if (envelope?.group === undefined) return undefined;
  try {
    return { ...envelope, ...decodeBody(delivery.message, envelope, decoding) };
  } catch {
    return undefined;
  }
}

/** The reasons, by name. */
export const refuse = {
  malformed: (delivery: Delivery, error: unknown): Refusal => unreadable(delivery, undefined, 'malformed', error),

  undecodable: (delivery: Delivery, envelope: TaskEnvelope, error: unknown): Refusal =>
    unreadable(delivery, envelope, 'undecodable', error),

  poison: (delivery: Delivery, envelope: TaskEnvelope): Refusal => {
    const losses = lossesOf(delivery, envelope);
    return dead(delivery, envelope, `lost ${losses} workers`, {
      type: 'WorkerLostError',
      module: 'billiard.exceptions',
      message: `Its worker was lost ${losses} times while it ran.`,
      code: 'WORKER_LOST',
    });
  },

  unknownTask: (delivery: Delivery, envelope: TaskEnvelope): Refusal =>
    dead(delivery, envelope, `unknown task ${envelope.task}`.slice(0, 300), {
      type: 'NotRegistered',
      module: 'celery.exceptions',
      message: envelope.task,
      code: 'TASK_UNKNOWN',
    }),

  expired: (delivery: Delivery, envelope: TaskEnvelope): Refusal => revoked(delivery, envelope, 'expired'),

  revoked: (delivery: Delivery, envelope: TaskEnvelope): Refusal => revoked(delivery, envelope, 'revoked'),
};

function unreadable(delivery: Delivery, envelope: TaskEnvelope | undefined, what: string, error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  const code = isTaskQueueError(error) ? error.code : 'DECODE_FAILED';
  const failure = { type: 'DecodeError', module: 'kombu.exceptions', message: message.slice(0, 2_000), code };
  return dead(delivery, envelope, `${what}: ${message}`.slice(0, 300), failure);
}

function dead(delivery: Delivery, envelope: TaskEnvelope | undefined, reason: string, failure: FailureRecord): Refusal {
  return {
    delivery,
    envelope,
    verdict: { kind: 'dead', reason, failure },
    event: { type: 'task-rejected', task: envelopeFacts(delivery, envelope), reason, requeue: false, failure },
  };
}

function revoked(delivery: Delivery, envelope: TaskEnvelope, reason: RevokedReason): Refusal {
  return {
    delivery,
    envelope,
    verdict: { kind: 'revoked', reason },
    event: { type: 'task-revoked', task: envelopeFacts(delivery, envelope), reason },
  };
}

function envelopeFacts(delivery: Delivery, envelope: TaskEnvelope | undefined) {
  return {
    id: envelope?.id ?? UNREADABLE,
    name: envelope?.task ?? UNREADABLE,
    queue: delivery.queue,
    run: delivery.run,
    attempt: (envelope?.retries ?? 0) + 1,
    ...(envelope === undefined ? {} : { message: envelope }),
  };
}
