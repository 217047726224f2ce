import { isTaskQueueError } from '../errors/errors.js';
import type { PublishOutcome } from '../ports/broker.js';

/** May the same publish succeed when it is tried again? */
export function mayPass(outcome: PublishOutcome | undefined): boolean {
  if (outcome?.status === 'unknown') return true;
  return outcome?.status === 'refused' && isTaskQueueError(outcome.error) && outcome.error.retryable;
}
