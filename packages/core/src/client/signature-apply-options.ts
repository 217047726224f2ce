import type { Signature } from '../canvas/signature.js';
import { signatureCall } from '../canvas/signature-options.js';
import type { ApplyOptions } from './task-call.js';

/** The options of a signature as those of a call; a time to start gives way to one that `over` has. */
export function applyOptionsOf({ options }: Signature, over: ApplyOptions): ApplyOptions {
  const { taskId, queue, priority, countdownMs, eta, expires, expiresMs, ...rest } = signatureCall(options);
  const { timeLimitMs, softTimeLimitMs, ignoreResult, shadow, headers } = rest;
  const isTimed = over.countdown !== undefined || over.eta !== undefined;
  const own: { [Option in keyof ApplyOptions]: ApplyOptions[Option] | undefined } = {
    taskId,
    queue,
    priority,
    countdown: isTimed ? undefined : countdownMs,
    eta: isTimed || eta === undefined || countdownMs !== undefined ? undefined : new Date(eta),
    expires: expires === undefined ? expiresMs : new Date(expires),
    timeLimit: timeLimitMs,
    softTimeLimit: softTimeLimitMs,
    ignoreResult,
    shadow,
    headers,
  };
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
}
