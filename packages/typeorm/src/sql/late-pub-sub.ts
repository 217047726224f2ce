import type { Channel, ChannelListener, ChannelSubscription, Publication, PubSub } from '@taskqueue/core';
import { BrokerError } from '@taskqueue/core';

/** A PubSub that is in use. */
export interface OpenPubSub extends PubSub {
  /** Another connection may have committed something. */
  changed(): void;
  close(): Promise<void>;
}

/** Stands for the PubSub until the driver is connected, and again after it was closed. */
export class LatePubSub implements PubSub {
  /** The PubSub itself; the driver sets it. */
  inner: OpenPubSub | undefined;

  publish(publications: readonly Publication[]): Promise<void> {
    return this.inner?.publish(publications) ?? Promise.reject(notConnected());
  }

  subscribe(channels: readonly Channel[], listener: ChannelListener): ChannelSubscription {
    return (
      this.inner?.subscribe(channels, listener) ?? { ready: failed(notConnected()), close: () => Promise.resolve() }
    );
  }

  /** The driver closes. */
  async end(): Promise<void> {
    const { inner } = this;
    this.inner = undefined;
    await inner?.close();
  }
}

/** A rejected promise that nobody has to look at. */
function failed(error: Error): Promise<never> {
  const promise = Promise.reject<never>(error);
  promise.catch(() => undefined);
  return promise;
}

/** The reason for which a subscription never came into force. */
export function closedEarly(): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: 'The subscription was closed before it was in force.',
    retryable: true,
  });
}

function notConnected(): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: 'The SQL driver is not connected.',
    remedy: 'Call connect() first, and nothing after close().',
    retryable: true,
  });
}
