import type { ChannelSubscription, ClusterEvent, ClusterEventType, EventReceiver, Logger } from '@taskqueue/core';
import type { EventScope } from '../decorators/on-event.decorator.js';
import type { ProcessEvent } from './process-event.js';

/** A method that listens for events. */
export interface EventListener {
  /** `Class.method`, for the log. */
  readonly source: string;
  readonly scope: EventScope;
  readonly types: ReadonlySet<string>;
  readonly call: (event: unknown) => unknown;
}

/**
 * Hands events to the methods that listen for them. It waits for none of them, and none of their errors goes further than
 * the log: what is told has happened already.
 */
export class EventHub {
  private listeners: readonly EventListener[] = [];
  private ear: ChannelSubscription | undefined;

  constructor(private readonly logger: Logger) {}

  /** Once, when all providers exist. */
  setListeners(listeners: readonly EventListener[]): void {
    this.listeners = listeners;
  }

  /** Does a method listen for events of this process that begin so? */
  hears(...families: readonly string[]): boolean {
    const begins = (type: string): boolean => families.some((family) => type.startsWith(family));
    return this.of('process').some(({ types }) => [...types].some(begins));
  }

  /** Something has happened in this process. Never throws. */
  readonly tell = (event: ProcessEvent): void => {
    for (const listener of this.listeners) {
      if (listener.scope === 'process' && listener.types.has(event.type)) this.call(listener, event);
    }
  };

  /** From now on also what others tell. Nothing where no method listens for that. */
  listenToCluster(receiver: EventReceiver): void {
    const listeners = this.of('cluster');
    if (this.ear !== undefined || listeners.length === 0) return;
    const types = [...new Set(listeners.flatMap((one) => [...one.types]))] as ClusterEventType[];
    const hear = (event: ClusterEvent): void => {
      for (const listener of listeners) if (listener.types.has(event.type)) this.call(listener, event);
    };
    this.ear = receiver.receive(hear, { types });
    this.ear.ready.catch((error: unknown) => {
      this.logger.warn(`Events of the cluster cannot be heard: ${String(error)}`, 'TaskQueue');
    });
  }

  async close(): Promise<void> {
    await this.ear?.close();
  }

  private of(scope: EventScope): readonly EventListener[] {
    return this.listeners.filter((listener) => listener.scope === scope);
  }

  private call(listener: EventListener, event: ProcessEvent | ClusterEvent): void {
    const failed = (error: unknown): void => {
      const stack = error instanceof Error ? error.stack : undefined;
      this.logger.error(`${listener.source} failed on ${event.type}: ${String(error)}`, stack, 'TaskQueue');
    };
    try {
      Promise.resolve(listener.call(event)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
