import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { LogicalClock } from '../message/logical-clock.js';
import type { EncodedMessage } from '../message/encoded-message.js';
import type { ChannelSubscription, PubSub } from '../ports/pub-sub.js';
import { COMMANDS, isAddressedTo, readCommand, writeReply } from './control-message.js';
import type { Command } from './control-message.js';

/** What a worker does when it hears a command, and what it answers. Undefined: nothing. */
export type CommandHandler = (parameters: Readonly<Record<string, unknown>>) => unknown;

export interface RemoteControlOptions {
  readonly pubsub: PubSub;
  /** By which name commands are addressed to it. */
  readonly worker: string;
  readonly handlers: ReadonlyMap<string, CommandHandler>;
  /** Why a command of this name is not obeyed, e.g. because it is not signed; undefined: it is. Default: all are. */
  readonly refusal?: ((method: string, message: EncodedMessage) => string | undefined) | undefined;
  readonly clock: Clock;
  /** Put forward by commands, and told in answers. */
  readonly logicalClock: LogicalClock;
  readonly logger: Logger;
}

/**
 * The ear of a worker: hears commands, does what it knows, and answers whoever asked. In Celery's words and format, so
 * `celery inspect` and `celery control` find here what they look for. Commands are lost while the connection is broken, as
 * all that is said: who asks counts the answers.
 *
 * ```text
 *   heard ──for somebody else, too old, unreadable──► passed over
 *     └──► known, and signed where it has to be? ──no──► answers {"error": …}
 *            └──► done ──► answers with what it says, or {"error": …} when it throws; nothing when nobody asked
 * ```
 */
export class RemoteControl {
  private ear: ChannelSubscription | undefined;

  constructor(private readonly options: RemoteControlOptions) {}

  start(): void {
    this.ear ??= this.options.pubsub.subscribe([COMMANDS], ({ message }) => void this.hear(message));
    this.ear.ready.catch((error: unknown) => {
      this.options.logger.warn(`Commands to this worker cannot be heard: ${String(error)}`, 'RemoteControl');
    });
  }

  async stop(): Promise<void> {
    await this.ear?.close();
  }

  private async hear(message: EncodedMessage): Promise<void> {
    const { worker, clock, logicalClock, logger, pubsub } = this.options;
    logicalClock.adjust(message.headers['clock']);
    const command = readCommand(message, clock.now());
    if (command === undefined || !isAddressedTo(command, worker)) return;
    const { replyTo, ticket } = command;
    try {
      const value = await this.obey(command, message);
      if (replyTo === undefined || value === undefined) return;
      await pubsub.publish([writeReply(replyTo, { worker, value, ticket }, logicalClock.forward())]);
    } catch (error) {
      logger.warn(`The command "${command.method}" was not answered: ${String(error)}`, 'RemoteControl');
    }
  }

  private async obey({ method, arguments: parameters }: Command, message: EncodedMessage): Promise<unknown> {
    const handler = this.options.handlers.get(method);
    if (handler === undefined) return { error: `unknown command: ${method}` };
    const refusal = this.options.refusal?.(method, message);
    if (refusal !== undefined) return { error: `This worker does not obey "${method}": ${refusal}.` };
    try {
      return await handler(parameters);
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}
