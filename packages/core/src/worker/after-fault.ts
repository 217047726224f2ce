import type { DecodeOptions } from '../message/celery-protocol.js';
import { openEnvelope } from '../message/celery-protocol.js';
import type { TaskEnvelope } from '../message/task-message.js';
import type { Delivery, Settlement } from '../ports/delivery.js';
import { postponed } from './early.js';
import { lossesOf } from './refusal.js';

/** What fails at once should not come at once again. */
const AGAIN_AFTER_MS = 1_000;

/**
 * What becomes of a delivery at which the worker itself has failed, by no fault that its task could know of. It comes again and
 * is counted as lost, so that one that always fails is refused as such, with its record; and where not even that
 * succeeds it goes to the dead letters without one.
 */
export function afterFault(
  delivery: Delivery,
  { decoding, maxLost }: { readonly decoding: DecodeOptions; readonly maxLost: number },
): Settlement {
  const envelope = opened(delivery, decoding);
  const losses = envelope === undefined ? Infinity : lossesOf(delivery, envelope);
  if (envelope === undefined || losses >= maxLost) {
    return { kind: 'dead-letter', delivery, reason: 'could not be processed' };
  }
  return postponed(delivery, envelope, AGAIN_AFTER_MS, losses + 1);
}

function opened(delivery: Delivery, decoding: DecodeOptions): TaskEnvelope | undefined {
  try {
    return openEnvelope(delivery.message, decoding);
  } catch {
    return undefined;
  }
}
