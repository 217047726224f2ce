import type { Logger } from '../ambient/logger.js';
import type { TaskMessage } from '../message/task-message.js';
import type { OutgoingMessage } from '../ports/broker.js';

/** A call on its way to the broker. */
export interface OutgoingTask {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** The whole message: arguments, eta, headers, … */
  readonly message: TaskMessage;
}

/** What a process tells itself of the calls that it publishes, synchronously: of clients, of beat, of followers. */
export type PublishEvent =
  /** It was checked and is about to be published. */
  | { readonly type: 'task-publishing'; readonly task: OutgoingTask }
  /** The broker has it. Not told of calls that ride in a transaction of the caller's. */
  | { readonly type: 'task-sent'; readonly task: OutgoingTask };

/** Hears what is published. An error of it is logged. */
export type PublishListener = (event: PublishEvent) => void;

/**
 * Tells what is published. What a message is made of is noted where it is built, because its encoded form need not show
 * the arguments; nothing is noted while nobody listens.
 */
export class PublishEvents {
  private readonly listeners = new Set<PublishListener>();
  private readonly notes = new WeakMap<OutgoingMessage, OutgoingTask>();

  constructor(private readonly logger: Logger) {}

  /** Calls back for every event. Returns the way to stop that. An error of the listener is logged and goes no further. */
  on(listener: PublishListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** For whoever builds a message. */
  note(outgoing: OutgoingMessage, message: TaskMessage): void {
    if (this.listeners.size === 0) return;
    this.notes.set(outgoing, { id: message.id, name: message.task, queue: outgoing.queue, message });
  }

  /** For whoever publishes, before it. */
  publishing(messages: readonly OutgoingMessage[]): void {
    this.tell('task-publishing', messages);
  }

  /** For whoever publishes, after it. */
  published(messages: readonly OutgoingMessage[]): void {
    this.tell('task-sent', messages);
  }

  private tell(type: PublishEvent['type'], messages: readonly OutgoingMessage[]): void {
    if (this.listeners.size === 0) return;
    for (const outgoing of messages) {
      const task = this.notes.get(outgoing);
      if (task === undefined) continue;
      for (const listener of this.listeners) this.call(listener, { type, task });
    }
  }

  private call(listener: PublishListener, event: PublishEvent): void {
    try {
      listener(event);
    } catch (error) {
      const stack = error instanceof Error ? error.stack : undefined;
      this.logger.error(`A listener to ${event.type} failed: ${String(error)}`, stack, 'TaskQueue');
    }
  }
}
