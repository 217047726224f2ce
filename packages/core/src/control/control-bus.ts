import { randomUUID } from 'node:crypto';
import type { Clock } from '../ambient/clock.js';
import { WakeUp } from '../async/wake-up.js';
import { toMilliseconds } from '../config/duration.js';
import type { Duration } from '../config/duration.js';
import { showValue, UsageError } from '../errors/errors.js';
import type { Channel, Publication } from '../ports/channel.js';
import type { PubSub } from '../ports/pub-sub.js';
import { CommandSigner } from './command-signature.js';
import type { Command } from './control-message.js';
import { readReplies, writeCommand } from './control-message.js';

/** What a bus speaks with. */
export interface ControlBusOptions {
  /** Undefined where the broker's driver has none: then every command is refused. */
  readonly pubsub: PubSub | undefined;
  readonly clock: Clock;
  /** The setting `worker.controlSecret`, by which commands are signed. Default: they are not. */
  readonly secret?: string | undefined;
}

/** Whom a command is for. Default: all workers. */
export type CommandTarget = Pick<Command, 'destination' | 'pattern' | 'matcher'>;

/** Whom a command is for, and how long answers are waited for. */
export interface CallOptions extends CommandTarget {
  /** How long answers are waited for. Default 1 s. */
  readonly timeout?: Duration;
  /** So many answers are enough. Default: as many as `destination` has names, else all that come in time. */
  readonly limit?: number;
}

/** Where Celery's clients hear answers. */
const REPLIES = 'reply.celery.pidbox';

/**
 * Commands to workers, ours and Celery's, and their answers. Who does not answer in time may be busy, cut off, or not
 * there: silence proves nothing.
 */
export class ControlBus {
  private readonly signer: CommandSigner | undefined;

  constructor(private readonly options: ControlBusOptions) {
    const { secret, clock } = options;
    this.signer = secret === undefined ? undefined : new CommandSigner(secret, clock);
  }

  /**
   * Says it, and waits for no answer. Rejects with BROKER_UNAVAILABLE when it could not be said, CAPABILITY_UNSUPPORTED where
   * the broker carries no commands.
   */
  async cast(method: string, parameters: Command['arguments'] = {}, target: CommandTarget = {}): Promise<void> {
    await this.pubsub().publish([this.signed(writeCommand({ ...checked(method, target), arguments: parameters }))]);
  }

  /** Says it, and collects what workers answer, by their names. Rejects with BROKER_UNAVAILABLE when it could not be said. */
  async call(
    method: string,
    parameters: Command['arguments'] = {},
    { timeout = '1s', limit, ...target }: CallOptions = {},
  ): Promise<ReadonlyMap<string, unknown>> {
    const { clock } = this.options;
    const pubsub = this.pubsub();
    const command = { ...checked(method, target), arguments: parameters };
    const timeoutMs = toMilliseconds(timeout, 'timeout');
    const enough = limit ?? command.destination?.length ?? Infinity;
    const [key, ticket] = [randomUUID(), randomUUID()];
    const channel: Channel = { exchange: REPLIES, kind: 'direct', key };
    const answers = new Map<string, unknown>();
    const bell = new WakeUp();
    const ear = pubsub.subscribe([channel], ({ message }) => {
      for (const reply of readReplies(message)) if (reply.ticket === ticket) answers.set(reply.worker, reply.value);
      bell.ring();
    });
    try {
      await ear.ready;
      const deadline = clock.monotonic() + timeoutMs;
      const replyTo = { exchange: REPLIES, key };
      const expiresAt = clock.now() + timeoutMs;
      await pubsub.publish([this.signed(writeCommand({ ...command, ticket, replyTo }, { expiresAt }))]);
      while (answers.size < enough && clock.monotonic() < deadline) {
        await bell.wait(clock, deadline - clock.monotonic(), new AbortController().signal);
      }
      return answers;
    } finally {
      await ear.close();
    }
  }

  private signed(publication: Publication): Publication {
    return this.signer?.sign(publication) ?? publication;
  }

  private pubsub(): PubSub {
    if (this.options.pubsub !== undefined) return this.options.pubsub;
    throw new UsageError({
      code: 'CAPABILITY_UNSUPPORTED',
      message: 'The driver of the broker carries no commands to workers.',
    });
  }
}

function checked(method: string, { destination, pattern, matcher }: CommandTarget): Omit<Command, 'arguments'> {
  if (typeof method !== 'string' || method === '') throw invalid('method', method, 'the name of a command');
  if (
    destination !== undefined &&
    !(Array.isArray(destination) && destination.every((one) => typeof one === 'string'))
  ) {
    throw invalid('destination', destination, 'a list of names of workers');
  }
  if (pattern !== undefined && typeof pattern !== 'string') throw invalid('pattern', pattern, 'text');
  if (matcher !== undefined && matcher !== 'glob' && matcher !== 'pcre') {
    throw invalid('matcher', matcher, '"glob" or "pcre"');
  }
  return { method, destination, pattern, matcher };
}

function invalid(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'COMMAND_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    fields: { field, value, expected },
  });
}
