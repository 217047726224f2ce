import type { Channel } from 'amqplib';
import { isTaskQueueError } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { within } from './amqp-connection.js';
import { amqpError, isNotFound } from './amqp-errors.js';

interface Declaration {
  readonly declaring: Promise<void>;
  /** Monotonic. */
  readonly begunAt: number;
  isDone: boolean;
}

/**
 * What is declared once and remembered, until the connection is lost or somebody finds that it is gone (`forget`).
 *
 * Each step runs alone on a channel that is for nothing else, because a refusal closes the channel and everything that waits on
 * it. It is on the connection that never publishes, which is not blocked when memory is short.
 */
export class AmqpDeclarations {
  private channel: Channel | undefined;
  private generation = 0;
  private readonly known = new Map<string, Declaration>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly connection: AmqpConnection,
    private readonly options: {
      /** For one step. The server answers within milliseconds; a queue without a leader may keep it from it. */
      readonly patienceMs: number;
      /** What something was to be bound to was deleted. */
      readonly onNotFound: () => void;
    },
  ) {}

  /** Was it declared on this connection? Then nothing needs to be awaited. */
  isDone(key: string): boolean {
    return this.generation === this.connection.generation && this.known.get(key)?.isDone === true;
  }

  /** Rejects with BrokerError; the next who needs it tries again. */
  once(key: string, work: (channel: Channel) => Promise<void>): Promise<void> {
    if (this.generation !== this.connection.generation) {
      this.forgetAll();
      this.generation = this.connection.generation;
    }
    const known = this.known.get(key);
    if (known !== undefined) return known.declaring;
    const declaration: Declaration = { declaring: this.run(work), begunAt: performance.now(), isDone: false };
    this.known.set(key, declaration);
    declaration.declaring.then(
      () => (declaration.isDone = true),
      (error: unknown) => {
        if (this.known.get(key) === declaration) this.known.delete(key);
        if (isNotFound(error)) this.options.onNotFound();
      },
    );
    return declaration.declaring;
  }

  /**
   * Somebody found that it is gone: the next who needs it declares it again. Not what was declared after the monotonic time
   * `since`, at which it was gone, for the next who found the same.
   */
  forget(key: string, since = Infinity): void {
    const declaration = this.known.get(key);
    if (declaration !== undefined && declaration.begunAt <= since) this.known.delete(key);
  }

  forgetAll(): void {
    this.known.clear();
  }

  /** Runs on the channel, alone. Rejects with BrokerError, also when the server does not answer. */
  run<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const result = this.last.then(async () => {
      const channel = await this.open();
      try {
        return await within(this.options.patienceMs, work(channel));
      } catch (error) {
        if (isTaskQueueError(error, 'BROKER_UNAVAILABLE')) this.leave();
        throw amqpError(error);
      }
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  /** The channel as it is now, for a step that goes on after a refusal. */
  async open(): Promise<Channel> {
    if (this.channel !== undefined) return this.channel;
    const channel = await this.connection.createChannel();
    channel.on('close', () => {
      if (this.channel === channel) this.channel = undefined;
    });
    this.channel = channel;
    return channel;
  }

  /** What waits on it for an answer would keep everything else waiting. */
  private leave(): void {
    const { channel } = this;
    this.channel = undefined;
    channel?.close().catch(() => undefined);
  }
}
