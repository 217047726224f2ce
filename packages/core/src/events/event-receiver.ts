import type { Logger } from '../ambient/logger.js';
import { writeCommand } from '../control/control-message.js';
import { showValue, UsageError } from '../errors/errors.js';
import { didYouMean } from '../errors/nearest-word.js';
import type { LogicalClock } from '../message/logical-clock.js';
import type { ChannelSubscription, PubSub } from '../ports/pub-sub.js';
import type { ClusterEvent, ClusterEventOf, ClusterEventType, OtherEvent } from './cluster-event.js';
import { clusterEventTypes, isClusterEventType } from './event-fields.js';
import { EVENTS, readEvents } from './event-message.js';

/** What a receiver hears with. */
export interface EventReceiverOptions {
  /** Undefined where the broker's driver has none: then nothing can be received. */
  readonly pubsub: PubSub | undefined;
  readonly logger: Logger;
  /** Put forward by what is heard. */
  readonly logicalClock?: LogicalClock | undefined;
}

/** Which events are heard. */
export interface ReceiveOptions<T extends ClusterEventType = ClusterEventType> {
  /** Default: all. */
  readonly types?: readonly T[];
  /** Hears events of types that are not known here. Default: they are passed over. */
  readonly onOther?: (event: OtherEvent) => void;
  /** Ask all workers for a heartbeat at once, so that they are known without waiting for the next. Default false. */
  readonly wakeUp?: boolean;
}

/**
 * Hears what workers and clients tell, ours and Celery's, one by one or in lists. Lossy, as all that is said: what happens
 * while the connection is broken is missed, so whoever keeps a picture of the cluster must be able to correct it.
 */
export class EventReceiver {
  constructor(private readonly options: EventReceiverOptions) {}

  /**
   * Calls `listener` for each event, in the order of its sender, until the subscription is closed; an error that it throws
   * is logged and goes no further. Throws CAPABILITY_UNSUPPORTED where the broker carries no events, EVENT_TYPE_UNKNOWN for a
   * type that is none.
   */
  receive<T extends ClusterEventType = ClusterEventType>(
    listener: (event: ClusterEventOf<T>) => void,
    { types, onOther, wakeUp = false }: ReceiveOptions<T> = {},
  ): ChannelSubscription {
    const { pubsub, logicalClock } = this.options;
    if (pubsub === undefined) {
      throw new UsageError({ code: 'CAPABILITY_UNSUPPORTED', message: 'The driver of the broker carries no events.' });
    }
    for (const type of types ?? []) checkType(type);
    const wanted: ReadonlySet<string> | undefined = types && new Set<string>(types);
    const hear = (event: ClusterEvent): void => {
      if (wanted?.has(event.type) !== false) listener(event as unknown as ClusterEventOf<T>);
    };
    const subscription = pubsub.subscribe([EVENTS], ({ message }) => {
      for (const read of readEvents(message)) {
        logicalClock?.adjust(read.event.clock);
        this.guarded(() => (read.known ? hear(read.event) : onOther?.(read.event)));
      }
    });
    if (!wakeUp) return subscription;
    const ready = subscription.ready.then(() => pubsub.publish([writeCommand({ method: 'heartbeat', arguments: {} })]));
    ready.catch(() => undefined);
    return { ready, close: () => subscription.close() };
  }

  /** One that fails must not take the rest of a list with it. */
  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      const stack = error instanceof Error ? error.stack : undefined;
      this.options.logger.error(`A listener to events failed: ${String(error)}`, stack, 'EventReceiver');
    }
  }
}

function checkType(type: unknown): void {
  if (isClusterEventType(type)) return;
  const meant = typeof type === 'string' ? didYouMean(type, clusterEventTypes()) : undefined;
  throw new UsageError({
    code: 'EVENT_TYPE_UNKNOWN',
    message: `There are no events of the type ${showValue(type)}.`,
    remedy: meant ?? 'The types are in docs/events.md; events of an application of its own come to `onOther`.',
    fields: { field: 'types', value: type },
  });
}
