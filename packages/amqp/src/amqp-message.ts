import type { Message, Options } from 'amqplib';
import type { EncodedMessage, MessageProperties, OutgoingMessage } from '@taskqueue/core';
import { bodySize, cannotBeSent, checkQueueName, UsageError } from '@taskqueue/core';
import { MOST_URGENT } from './amqp-options.js';
import { amqpTable } from './amqp-table.js';

/**
 * Ours in a message's headers, as one table, put in when it is published and taken out when it is received. A message of
 * Python's has none.
 */
export interface Counters {
  /** When it was published first, epoch milliseconds by the publisher's clock. */
  readonly at?: number;
  /** Deliveries before this publication. */
  readonly runs: number;
  /** How often its runner was lost, as far as it is counted. */
  readonly losses: number;
  /** It came back once already without having been given back; see amqp-suspects.ts. */
  readonly marked: boolean;
}

export const FRESH: Counters = { runs: 0, losses: 0, marked: false };

/** What became of a message that is dead. */
export interface Epitaph {
  readonly queue: string;
  readonly reason: string;
  readonly diedAt: number;
}

/** A message as it came, and what was in its headers beside what its sender wrote. */
export interface OpenedMessage {
  readonly message: EncodedMessage;
  readonly counters: Counters;
  /** Only of what comes from a queue of the dead. */
  readonly epitaph: Epitaph | undefined;
  /** How often a quorum queue has handed it out before; undefined elsewhere. */
  readonly deliveryCount: number | undefined;
}

const OURS = 'taskqueue';
const DELIVERY_COUNT = 'x-delivery-count';
const LONGEST_ID = 255;

/** Other queues to which the broker sends a message as well, whoever publishes it and wherever. */
const COPIES = ['CC', 'BCC'] as const;

/**
 * What the broker adds on the way, which Celery does not pass on either; and where its sender had it sent beside this queue:
 * with that it would go there once more with each retry, and as a dead letter.
 */
const BROKERS_OWN = /^(x-(death|first-death-.*|last-death-.*|delivery-count|acquired-count)|B?CC)$/;

/** Properties in Celery's spelling → in the client's. The content's type and encoding, priority and headers go apart. */
const PROPERTIES = [
  ['correlation_id', 'correlationId'],
  ['reply_to', 'replyTo'],
  ['delivery_mode', 'deliveryMode'],
  ['message_id', 'messageId'],
  ['timestamp', 'timestamp'],
  ['type', 'type'],
  ['app_id', 'appId'],
  ['expiration', 'expiration'],
] as const;

/** The checks that every message passes. Throws UsageError. */
export function checkOutgoing(outgoing: OutgoingMessage, maxBytes: number): void {
  const { id, priority, eta, delayMs, message } = outgoing;
  checkQueueName(outgoing.queue);
  if (typeof id !== 'string' || id === '' || Buffer.byteLength(id) > LONGEST_ID) {
    throw cannotBeSent('id', id, `a text of 1 to ${LONGEST_ID} bytes`);
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > MOST_URGENT) {
    throw cannotBeSent('priority', priority, `a whole number from 0 to ${MOST_URGENT}`);
  }
  for (const [field, value] of [
    ['eta', eta],
    ['delayMs', delayMs],
  ] as const) {
    if (value !== undefined && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) {
      throw cannotBeSent(field, value, 'a finite number of milliseconds');
    }
  }
  for (const name of COPIES) {
    const value = message.headers[name];
    if (value === undefined) continue;
    throw cannotBeSent(
      `headers.${name}`,
      value,
      'no such header, by which RabbitMQ would send it to other queues as well',
    );
  }
  checkSize(bodySize(message.body), maxBytes);
}

/** Throws MESSAGE_TOO_LARGE. */
export function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new UsageError({
    code: 'MESSAGE_TOO_LARGE',
    message: `The message is ${bytes} bytes long; at most ${maxBytes} can be sent.`,
    remedy: 'Send a reference to the data, or raise maxMessageBytes and the max_message_size of the server.',
    fields: { field: 'body', value: bytes, limit: maxBytes },
  });
}

/**
 * How the client takes a task message. `expiration` is left out: the broker would drop an expired message without a word,
 * and whoever waits for its result would wait for ever; workers look at the header `expires`, ours and Python's. A
 * delayed message it would even deliver early, because it would expire on the way.
 */
export function taskOptions(outgoing: OutgoingMessage, counters: Counters): Options.Publish {
  const { expiration: _expiration, ...properties } = outgoing.message.properties;
  const options = publishOptions({ ...outgoing.message, properties }, { [OURS]: wireCounters(counters) });
  options.priority = outgoing.priority;
  options.messageId = outgoing.id;
  options.deliveryMode ??= 2;
  // By which the management API knows the age of the oldest message.
  options.timestamp ??= Math.floor(Date.now() / 1_000);
  options.mandatory = true;
  return options;
}

/** How the client takes any message, with headers of ours beside its own. */
export function publishOptions(message: EncodedMessage, more: Readonly<Record<string, unknown>> = {}): Options.Publish {
  const options: Record<string, unknown> = {
    headers: amqpTable({ ...message.headers, ...more }),
    contentType: message.contentType,
    contentEncoding: message.contentEncoding,
  };
  for (const [celery, client] of PROPERTIES) {
    const value = message.properties[celery];
    if (value !== undefined && value !== null && value !== '') options[client] = value;
  }
  const { priority } = message.properties;
  if (typeof priority === 'number') options['priority'] = priority;
  return options as Options.Publish;
}

export function epitaphHeaders(counters: Counters, epitaph: Epitaph): Readonly<Record<string, unknown>> {
  const { queue, reason, diedAt } = epitaph;
  return { [OURS]: { ...wireCounters(counters), queue, reason, died: diedAt } };
}

/** Whatever came. Never throws. */
export function openMessage(received: Message): OpenedMessage {
  const { properties, content } = received;
  const headers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties.headers ?? {})) {
    if (name !== OURS && !BROKERS_OWN.test(name)) headers[name] = value;
  }
  const ours: unknown = properties.headers?.[OURS];
  return {
    message: {
      headers,
      properties: celeryProperties(properties as unknown as Readonly<Record<string, unknown>>),
      contentType: textOr(properties.contentType, 'application/octet-stream'),
      contentEncoding: textOr(properties.contentEncoding, 'binary'),
      body: content,
    },
    counters: readCounters(ours),
    epitaph: readEpitaph(ours),
    deliveryCount: count(properties.headers?.[DELIVERY_COUNT]),
  };
}

/** How the broker itself put a message aside last. */
export interface NativeDeath {
  readonly queue: string;
  /** `expired`, `rejected`, `maxlen` or `delivery_limit`. */
  readonly reason: string;
  /** Epoch milliseconds, whole seconds. */
  readonly at: number;
}

/** Undefined for what the broker has not put aside. */
export function deathOf({ properties }: Message): NativeDeath | undefined {
  const deaths: unknown = properties.headers?.['x-death'];
  const last: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  if (!isRecord(last)) return undefined;
  const seconds = isRecord(last['time']) ? count(last['time']['value']) : undefined;
  return { queue: textOr(last['queue'], ''), reason: textOr(last['reason'], ''), at: (seconds ?? 0) * 1_000 };
}

/** Header `id`, or what the publisher called it otherwise. */
export function idOf({ headers, properties }: EncodedMessage): string {
  const id = headers['id'] ?? properties.correlation_id ?? properties['message_id'];
  return typeof id === 'string' ? id : '';
}

/** The same, as a property can hold it; the header stays as it is. Undefined where there is none, or a longer one. */
export function sendableId(message: EncodedMessage): string | undefined {
  const id = idOf(message);
  return id !== '' && Buffer.byteLength(id) <= LONGEST_ID ? id : undefined;
}

export function taskOf({ headers }: EncodedMessage): string {
  return textOr(headers['task'], '');
}

/** 0 to 9. */
export function priorityOf({ properties }: EncodedMessage): number {
  const { priority } = properties;
  return Math.min(MOST_URGENT, Math.max(0, Math.trunc(priority ?? 0)));
}

/** The message as something to be sent again, as it is. */
export function outgoingFrom(message: EncodedMessage, queue: string): OutgoingMessage {
  return { id: sendableId(message) ?? 'unknown', task: taskOf(message), queue, priority: priorityOf(message), message };
}

function wireCounters({ at, runs, losses, marked }: Counters): Record<string, unknown> {
  return {
    at: at ?? Date.now(),
    ...(runs > 0 ? { runs } : {}),
    ...(losses > 0 ? { losses } : {}),
    ...(marked ? { marked } : {}),
  };
}

function readCounters(value: unknown): Counters {
  if (!isRecord(value)) return FRESH;
  const at = count(value['at']);
  return {
    ...(at === undefined ? {} : { at }),
    runs: count(value['runs']) ?? 0,
    losses: count(value['losses']) ?? 0,
    marked: value['marked'] === true,
  };
}

function readEpitaph(value: unknown): Epitaph | undefined {
  if (!isRecord(value) || typeof value['reason'] !== 'string') return undefined;
  return { queue: textOr(value['queue'], ''), reason: value['reason'], diedAt: count(value['died']) ?? 0 };
}

function celeryProperties(properties: Readonly<Record<string, unknown>>): MessageProperties {
  const known: Record<string, unknown> = {};
  for (const [celery, client] of PROPERTIES) {
    const value = properties[client];
    if (value !== undefined) known[celery] = value;
  }
  if (properties['priority'] !== undefined) known['priority'] = properties['priority'];
  return known;
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
