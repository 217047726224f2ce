import type { TaskEnvelope } from '../message/task-message.js';
import type { Delivery, Settlement } from '../ports/delivery.js';
import { LOST_CHILDREN } from '../message/celery-headers.js';
import { lossesOf } from './refusal.js';
import { MAX_PRIORITY } from '../task/task-options.js';

/** The clocks of a store and a worker may differ by this much without a message being sent back for it. */
const TOLERANCE_MS = 1_000;

/**
 * For a message that came before its eta, as Python clients send them: they leave the waiting to the worker. Ours waits in
 * the broker: the message goes back as it is, to be delivered when it is due. Undefined for one that is due.
 */
export function parkEarly(delivery: Delivery, envelope: TaskEnvelope, now: number): Settlement | undefined {
  const delayMs = (envelope.eta ?? now) - now;
  return delayMs <= TOLERANCE_MS ? undefined : postponed(delivery, envelope, delayMs);
}

/**
 * The message goes back as it is and is delivered after `delayMs`. Losses go on counting, though the broker begins anew;
 * `losses` where there are more of them by now.
 */
export function postponed(
  delivery: Delivery,
  envelope: TaskEnvelope,
  delayMs: number,
  losses: number = lossesOf(delivery, envelope),
): Settlement {
  const { queue } = delivery;
  const message = losses === (envelope.lostChildren ?? 0) ? delivery.message : withLosses(delivery.message, losses);
  const priority = Math.min(MAX_PRIORITY, Math.max(0, Math.trunc(message.properties.priority ?? 0)));
  return {
    kind: 'replace',
    delivery,
    message: { id: envelope.id, task: envelope.task, queue, priority, delayMs, message },
  };
}

function withLosses(message: Delivery['message'], losses: number): Delivery['message'] {
  return { ...message, headers: { ...message.headers, [LOST_CHILDREN]: losses } };
}
