import { BrokerError } from './errors.js';

/** What `receive` of a closed consumer rejects with. Nothing at once would make whoever asks again and again ask without end. */
export function consumerClosed(): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: 'Nothing can be received: the consumer was closed.',
    remedy: 'Stop the worker before its driver is closed.',
    retryable: true,
    fields: { sent: false },
  });
}
