import { BrokerError } from '@taskqueue/core';

const NAME = 'RabbitMQ';

/** AMQP's reply codes that are told apart. */
export const REPLY_CODES = { notFound: 404, preconditionFailed: 406, accessRefused: 403, noRoute: 312 } as const;

/** Nothing was sent. */
export function notConnected(reason: string): BrokerError {
  return unavailable(`${NAME} cannot be reached: ${reason}.`, { sent: false });
}

/** It was sent, and nobody knows whether it took effect. */
export function fateUnknown(reason: string): BrokerError {
  return unavailable(`${NAME} did not answer: ${reason}.`, { sent: true });
}

/** A queue in which delayed messages wait confirms nothing; `sent` tells whether this message is on its way there. */
export function queueSilent(queue: string, sent: boolean): BrokerError {
  return unavailable(
    `${NAME} did not answer: the queue ${queue}, in which delayed messages wait, confirms nothing; it may have no leader.`,
    {
      sent,
      queue,
      remedy:
        `Look at it with rabbitmq-queues quorum_status ${queue}. If it does not come back by itself, delete it: what waits ` +
        'in it is lost, and it is declared again with the next delayed message.',
    },
  );
}

/** The broker takes no publications just now, because its memory or disk is short. */
export function publishingBlocked(reason: string, waitedMs: number, sent: boolean): BrokerError {
  const waited = waitedMs > 0 ? ` for ${waitedMs} ms` : '';
  return unavailable(`${NAME} has blocked publishers${waited}: ${reason}.`, {
    sent,
    blocked: reason,
    remedy: 'Let workers drain it, or give it memory and disk; publish again later.',
  });
}

/** The broker definitely did not take a message. */
export function publishRefused(
  reason: string,
  fields: Readonly<Record<string, unknown>>,
  retryable = false,
): BrokerError {
  return new BrokerError({
    code: 'PUBLISH_FAILED',
    message: `${NAME} did not take the message: ${reason}.`,
    retryable,
    fields,
  });
}

/** Did the server say that something is not there? Of what `amqpError` made. */
export function isNotFound(error: unknown): boolean {
  return (error as { fields?: { reply?: unknown } }).fields?.reply === REPLY_CODES.notFound;
}

/** What the server said, by its number; undefined for everything else. Of what the client rejected with. */
export function replyCode(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

/** What the server or the client said, as one of ours. Causes are left out: they may hold what is secret. */
export function amqpError(error: unknown): Error {
  if (error instanceof BrokerError) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  if (code === REPLY_CODES.accessRefused) {
    return new BrokerError({
      code: 'CAPABILITY_UNSUPPORTED',
      message: `The ${NAME} user may not do this: ${message}.`,
      remedy: 'Grant it with rabbitmqctl set_permissions; docs/rabbitmq.md lists what is needed.',
    });
  }
  if (typeof code === 'number' && code >= 400 && code < 600) {
    return new BrokerError({
      code: 'PUBLISH_FAILED',
      message: `${NAME} refused: ${message}.`,
      fields: { reply: code },
    });
  }
  return unavailable(`${NAME} does not answer: ${message}.`, { sent: true });
}

interface Unavailable {
  readonly sent: boolean;
  readonly blocked?: string;
  readonly queue?: string;
  readonly remedy?: string;
}

function unavailable(message: string, { remedy, ...fields }: Unavailable): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message,
    remedy:
      remedy ?? 'It is tried again; see that the server runs and that URL, credentials, vhost and limits are right.',
    retryable: true,
    fields,
  });
}
