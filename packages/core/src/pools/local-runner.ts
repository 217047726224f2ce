import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { UsageError } from '../errors/errors.js';
import type { DecodeOptions } from '../message/celery-protocol.js';
import { decodeBody, openEnvelope } from '../message/celery-protocol.js';
import { decodeValue, encodeValue } from '../message/encoded-value.js';
import type { Serializer } from '../message/serializer.js';
import { decodeOptionsFrom, serializerFrom } from '../message/wire-format.js';
import type { OutgoingMessage } from '../ports/broker.js';
import type { Outcome } from '../task/task-outcome.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { TaskRunner } from './task-runner.js';

/** What runs on this thread are made of. */
export interface LocalRunnerOptions {
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Runs one attempt of a message here and now, through serialisation, checks and pipeline as a worker would, without
 * broker or store. What the handler throws is thrown; a retry or snooze is an error, because nothing follows.
 */
export class LocalRunner {
  private readonly runner: TaskRunner;
  private readonly serializer: Serializer;
  private readonly decoding: DecodeOptions;

  constructor(options: LocalRunnerOptions) {
    this.serializer = serializerFrom(options.settings);
    this.decoding = decodeOptionsFrom(options.settings);
    this.runner = new TaskRunner({ ...options, serializer: this.serializer });
  }

  async run(outgoing: OutgoingMessage): Promise<unknown> {
    const envelope = openEnvelope(outgoing.message, this.decoding);
    const message = { ...envelope, ...decodeBody(outgoing.message, envelope, this.decoding) };
    const outcome = await this.runner.run(
      { message, queue: outgoing.queue, run: 1, attempt: 1, worker: 'local', deadline: undefined, wantsValue: true },
      { signal: new AbortController().signal, progress: () => Promise.resolve() },
    );
    return this.unwrap(outcome);
  }

  private unwrap(outcome: Outcome): unknown {
    switch (outcome.kind) {
      case 'succeeded':
        return decodeValue(this.decoding.serializers, encodeValue(this.serializer, outcome.value, 'result'));
      case 'failed':
        throw outcome.error;
      case 'retry':
        throw outcome.options.cause ?? new Error('The task asked for a retry.');
      case 'rejected':
        throw outcome.error ?? new UsageError({ code: 'TASK_REJECTED', message: outcome.reason });
      case 'ignored':
        return undefined;
      default:
        throw new UsageError({ code: 'TASK_REJECTED', message: `The task ended ${outcome.kind} when it was called.` });
    }
  }
}
