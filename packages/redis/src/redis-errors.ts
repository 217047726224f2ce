import { BrokerError } from '@taskqueue/core';

const NAME = 'Redis';

/**
 * An error of the client or the server as one of ours. `sent` says whether the command was on its way: then nobody
 * knows whether it took effect, unless the server itself refused it.
 */
export function redisError(error: unknown, sent: boolean): Error {
  if (error instanceof BrokerError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isDenied(message)) return denied(message);
  const refusal = REFUSALS.find(([pattern]) => pattern.test(message));
  if (refusal !== undefined)
    return unavailable(`${NAME} cannot serve: ${message}.`, { sent: false, remedy: refusal[1] });
  if (isReply(error)) return rejected(message);
  return unavailable(`${NAME} does not answer: ${message}.`, { sent });
}

/** Nothing was sent. */
export function notConnected(reason: string): BrokerError {
  return unavailable(`${NAME} cannot be reached: ${reason}.`, { sent: false });
}

/** Was the command sent before the connection broke? Then nobody knows whether it took effect. */
export function isFateUnknown(error: unknown): boolean {
  return error instanceof BrokerError && error.code === 'BROKER_UNAVAILABLE' && error.fields['sent'] === true;
}

/** Is it certain that nothing was done? A script that fails may have done a part before. */
export function isNothingDone(error: unknown): boolean {
  return error instanceof BrokerError && error.code === 'BROKER_UNAVAILABLE' && error.fields['sent'] === false;
}

/** A lack of permission, told by the server for a command or for one inside a script. */
export function isDenied(message: string): boolean {
  return /NOPERM|ACL failure in script|has no permissions to|user executing the script can't/.test(message);
}

/** Answers of a server that did nothing, and might do it later. */
const REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/^OOM|-OOM|command not allowed when used memory/, 'Its memory is full: let workers drain it, or raise maxmemory.'],
  [/^LOADING|-LOADING/, 'It is reading its data from disk; it is tried again.'],
  [/^BUSY|-BUSY/, 'Another script runs on it for too long; it is tried again.'],
  [/READONLY/, 'It is a replica; the new primary is looked for.'],
  [/^MISCONF|-MISCONF/, 'It cannot write to its disk; see its log.'],
  [/^(CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|UNBLOCKED)|-(MASTERDOWN|NOREPLICAS)/, 'It is tried again.'],
  [/max number of clients/, 'Raise maxclients, or use fewer connections.'],
];

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

function denied(message: string): BrokerError {
  return new BrokerError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: `The ${NAME} user may not do this: ${message}.`,
    remedy: 'Grant the command, key or channel to the user (ACL SETUSER).',
  });
}

function rejected(message: string): BrokerError {
  return new BrokerError({ code: 'PUBLISH_FAILED', message: `${NAME} refused a command: ${message}.` });
}

/** Causes are left out: the client's errors hold the arguments of the command, a password among them. */
function unavailable(message: string, init: { readonly sent: boolean; readonly remedy?: string }): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message,
    remedy:
      init.remedy ?? 'It is tried again; see that the server runs and that URL, credentials and limits are right.',
    retryable: true,
    fields: { sent: init.sent },
  });
}

/** A consumer cannot stay registered. */
export function unregistered(): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: 'Redis forgets this consumer as soon as it is registered.',
    remedy: 'It is tried again; if it goes on, the lease is shorter than a call to the server takes.',
    retryable: true,
    fields: { sent: false },
  });
}

/** A settlement would take several steps, which must be one. */
export function notOneStep(): BrokerError {
  return new BrokerError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'In a Redis cluster a settlement cannot carry results or follow-up messages.',
    remedy: 'Write them before the settlement; capabilities.atomicCompletion is false.',
  });
}
