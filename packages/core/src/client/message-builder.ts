import type { Stamps } from '../control/stamp-revocation.js';
import type { Clock } from '../ambient/clock.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { serializerFrom } from '../message/wire-format.js';
import { UsageError, showValue } from '../errors/errors.js';
import { encodeTaskMessage } from '../message/celery-protocol.js';
import { pythonRepr } from '../message/python-repr.js';
import type { CeleryDialect } from '../message/celery-protocol.js';
import type { Serializer } from '../message/serializer.js';
import type { TaskMessage } from '../message/task-message.js';
import type { Broker, OutgoingMessage } from '../ports/broker.js';
import type { Tracing } from '../ports/tracing.js';
import type { PublishEvents } from '../events/publish-events.js';
import { checkQueueName } from '../config/queue-name.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { MAX_PRIORITY } from '../task/task-options.js';
import type { TaskCall } from './task-call.js';

export interface MessageBuilderOptions {
  readonly clock: Clock;
  readonly serializer: Serializer;
  readonly dialect: CeleryDialect;
  readonly compression: string;
  readonly defaultQueue: string;
  /** `gen<pid>@<host>` or the worker's name. */
  readonly origin: string;
  /** Only the headers that say something; else all of Celery's, and the arguments as text for monitors of others. */
  readonly lean: boolean;
  /** Is told of what is built. */
  readonly events?: PublishEvents | undefined;
  /** Where what is built is not published by a client, which traces the sending itself. */
  readonly tracing?: Tracing | undefined;
}

/** A builder for an application's settings. */
export function messageBuilder(init: {
  readonly settings: TaskQueueSettings;
  readonly clock: Clock;
  readonly origin: string;
  readonly broker: Broker;
  readonly events?: PublishEvents | undefined;
  /** Where what is built is not published by a client, which traces the sending itself. */
  readonly tracing?: Tracing | undefined;
}): MessageBuilder {
  const { settings, clock, origin, broker, events, tracing } = init;
  const { dialect, headers, compression, defaultQueue } = settings;
  return new MessageBuilder({
    clock,
    origin,
    dialect,
    defaultQueue,
    compression,
    events,
    tracing,
    serializer: serializerFrom(settings),
    lean: headers === 'lean' || broker.capabilities.privateQueues === true,
  });
}

/** From a call to the message that is published: routing, defaults, envelope. */
export class MessageBuilder {
  constructor(private readonly options: MessageBuilderOptions) {}

  /** Throws UsageError for a bad queue, priority or argument. */
  build(call: TaskCall, definition: TaskDefinition | undefined): OutgoingMessage {
    const queue = call.queue ?? definition?.queue ?? this.options.defaultQueue;
    const priority = call.priority ?? definition?.priority ?? 0;
    checkQueueName(queue);
    checkPriority(priority);
    const message = this.envelope(call, definition, priority);
    const built: OutgoingMessage = {
      id: call.taskId,
      task: call.task,
      queue,
      priority,
      ...(message.eta === undefined ? {} : { eta: message.eta }),
      ...(call.countdownMs === undefined ? {} : { delayMs: call.countdownMs }),
      message: this.encode(message),
    };
    const outgoing = this.options.tracing?.created(built) ?? built;
    this.options.events?.note(outgoing, message);
    return outgoing;
  }

  /** The next form of a message that was received: retry, snooze, park. */
  rebuild(message: TaskMessage, route: { readonly queue: string; readonly delayMs: number }): OutgoingMessage {
    const { delayMs } = route;
    const next: TaskMessage = { ...message, eta: delayMs > 0 ? this.options.clock.now() + delayMs : undefined };
    return {
      id: message.id,
      task: message.task,
      queue: route.queue,
      // Another sender's may be beyond ours.
      priority: Math.min(MAX_PRIORITY, message.priority ?? 0),
      ...(delayMs > 0 ? { delayMs, eta: next.eta as number } : {}),
      message: this.encode(next),
    };
  }

  private envelope(call: TaskCall, definition: TaskDefinition | undefined, priority: number): TaskMessage {
    const now = this.options.clock.now();
    const eta = call.countdownMs === undefined ? call.eta : now + call.countdownMs;
    const expiresMs = call.expiresMs ?? definition?.expiresMs;
    const { lean } = this.options;
    return {
      lang: 'js',
      id: call.taskId,
      task: call.task,
      args: call.args,
      kwargs: call.kwargs,
      shadow: call.shadow,
      eta,
      expires: call.expires ?? (expiresMs === undefined ? undefined : now + expiresMs),
      group: call.group,
      groupIndex: call.groupIndex,
      retries: 0,
      timeLimitMs: call.timeLimitMs ?? definition?.timeLimitMs,
      softTimeLimitMs: call.softTimeLimitMs ?? definition?.softTimeLimitMs,
      rootId: call.rootId ?? call.taskId,
      parentId: call.parentId,
      argsRepr: call.argsRepr ?? (lean ? undefined : pythonRepr(call.args, { tuple: true })),
      kwargsRepr: call.kwargsRepr ?? (lean ? undefined : pythonRepr(call.kwargs)),
      origin: this.options.origin,
      ignoreResult: call.ignoreResult ?? definition?.ignoreResult ?? false,
      replacedTaskNesting: 0,
      ...stamped(call.stamps),
      customHeaders: call.headers,
      callbacks: listed(call.callbacks),
      errbacks: listed(call.errbacks),
      chain: listed(call.chain),
      chord: call.chord,
      replyTo: call.replyTo ?? '',
      correlationId: call.taskId,
      priority,
      deliveryMode: 2,
      expiration: undefined,
    };
  }

  private encode(message: TaskMessage): OutgoingMessage['message'] {
    return encodeTaskMessage(message, this.options);
  }
}

/** As Celery writes them: each a list. */
function stamped(stamps: Stamps = {}): Pick<TaskMessage, 'stampedHeaders' | 'stamps'> {
  const lists = Object.entries(stamps).map(([name, value]) => [name, [value].flat()] as const);
  return { stampedHeaders: listed(Object.keys(stamps)), stamps: Object.fromEntries(lists) };
}

function listed<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function checkPriority(priority: number): void {
  if (Number.isInteger(priority) && priority >= 0 && priority <= MAX_PRIORITY) return;
  throw new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `priority must be a whole number from 0 to ${MAX_PRIORITY}, got ${showValue(priority)}.`,
    fields: { field: 'priority', value: priority },
  });
}
