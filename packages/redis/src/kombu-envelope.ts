import { randomBytes } from 'node:crypto';
import type { EncodedMessage, MessageBody, OutgoingMessage } from '@taskqueue/core';
import { bodyBytes, cannotBeSent, checkQueueName, UsageError } from '@taskqueue/core';
import type { PriorityScheme } from './kombu-priority.js';
import type { RedisBodies } from './redis-options.js';

/**
 * Kombu's envelope: a message as one JSON text.
 *
 * ```text
 * {"taskqueue": [accepted at, times delivered, times its runner was lost],          ours; absent where Python sent it
 *  "body": text, or base64, "content-encoding": …, "content-type": …, "headers": {…},
 *  "properties": {…, "delivery_info": {"exchange": "", "routing_key": queue}, "priority": Kombu's,
 *                 "body_encoding": "base64", if it is that, "delivery_tag": unique}}
 * ```
 *
 * Kombu sends base64, and takes a body without an encoding for what it is.
 * Kombu's priorities are not ours; see kombu-priority.ts.
 */
export interface OpenedEnvelope {
  readonly message: EncodedMessage;
  /** When the broker accepted it; undefined where Python sent it. */
  readonly acceptedAt: number | undefined;
  /** How often it was delivered before. */
  readonly runs: number;
  /** How often a runner of it was lost. */
  readonly losses: number;
  /** Somebody took it before and gave it back. */
  readonly redelivered: boolean;
  /** Header `id`; empty where there is none. */
  readonly id: string;
  /** Header `task`; empty where there is none. */
  readonly task: string;
  /** Ours: higher is more urgent. */
  readonly priority: number;
}

/** Longest text of a message, bytes. The server's own limit is 512 MiB. */
export const LONGEST_MESSAGE_BYTES = 256 * 1024 * 1024;
const LONGEST_ID = 255;
const MOST_URGENT = 9;

/** What opens no envelope: it is handed out as it is, and whoever decodes it refuses it. */
const UNKNOWN_CONTENT = 'application/octet-stream';

/** The checks that every message passes. Throws UsageError. */
export function checkOutgoing(outgoing: OutgoingMessage): void {
  const { id, priority, eta, delayMs } = outgoing;
  checkQueueName(outgoing.queue);
  if (typeof id !== 'string' || id === '' || id.length > LONGEST_ID) {
    throw cannotBeSent('id', id, `a text of 1 to ${LONGEST_ID} characters`);
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > MOST_URGENT) {
    throw cannotBeSent('priority', priority, 'a whole number from 0 to 9');
  }
  for (const [field, value] of [
    ['eta', eta],
    ['delayMs', delayMs],
  ] as const) {
    if (value !== undefined && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) {
      throw cannotBeSent(field, value, 'a finite number of milliseconds');
    }
  }
}

/** What a message that was accepted now, and never delivered, begins with; the rest is its tail. */
export function messageHead(acceptedAt: number): string {
  return `{"taskqueue":[${acceptedAt},0,0],`;
}

/**
 * The envelope without its opening brace and our own member, which the server puts before it. Throws UsageError for a
 * message that cannot be written.
 */
export function envelopeTail(
  outgoing: OutgoingMessage,
  how: { readonly kombuPriority: number; readonly bodies: RedisBodies },
): string {
  const { message } = outgoing;
  const isText = how.bodies === 'text' && typeof message.body === 'string';
  const body = isText ? JSON.stringify(message.body) : `"${bodyBytes(message.body).toString('base64')}"`;
  const tail =
    `"body":${body},"content-encoding":${textJson(message.contentEncoding)},` +
    `"content-type":${textJson(message.contentType)},"headers":${json(message.headers)},` +
    `"properties":${propertiesJson(outgoing, how.kombuPriority, isText)}}`;
  // Most texts are ASCII, of which the length is the number of bytes.
  if (tail.length > LONGEST_MESSAGE_BYTES / 4 && Buffer.byteLength(tail) > LONGEST_MESSAGE_BYTES) {
    throw new UsageError({
      code: 'MESSAGE_TOO_LARGE',
      message: `The message is ${Buffer.byteLength(tail)} bytes long; at most ${LONGEST_MESSAGE_BYTES} can be sent.`,
      remedy: 'Send a reference to the data.',
      fields: { field: 'body', limit: LONGEST_MESSAGE_BYTES },
    });
  }
  return tail;
}

/** When it falls due, as the scripts take it: '' at once, `+<ms>` from now by the server's clock, else an instant. */
export function dueText({ eta, delayMs }: Pick<OutgoingMessage, 'eta' | 'delayMs'>): string {
  if (delayMs !== undefined) return delayMs > 0 ? `+${Math.ceil(delayMs)}` : '';
  return eta === undefined ? '' : String(Math.ceil(eta));
}

/** Whatever was in the list. Never throws: what is no envelope becomes a message that decoders refuse. */
export function openEnvelope(text: string, scheme: PriorityScheme): OpenedEnvelope {
  try {
    return opened(text, scheme) ?? foreign(text);
  } catch {
    // No JSON, or JSON that is nested too deeply to be written again.
    return foreign(text);
  }
}

function opened(text: string, scheme: PriorityScheme): OpenedEnvelope | undefined {
  const envelope: unknown = JSON.parse(text);
  if (!isEnvelope(envelope)) return undefined;
  const headers = isRecord(envelope.headers) ? envelope.headers : {};
  const properties: Record<string, unknown> = isRecord(envelope.properties) ? envelope.properties : {};
  const { acceptedAt, runs, losses } = head(text);
  const kombu = properties['priority'];
  const priority = scheme.fromKombu(kombu);
  // This object is ours alone: it came out of this text.
  if (kombu !== undefined) properties['priority'] = priority;
  const info = properties['delivery_info'];
  return {
    message: {
      headers,
      properties,
      contentType: textOr(envelope['content-type'], UNKNOWN_CONTENT),
      contentEncoding: textOr(envelope['content-encoding'], 'binary'),
      body: bodyOf(envelope.body, properties['body_encoding']),
    },
    acceptedAt,
    runs,
    losses,
    redelivered: runs > 0 || (isRecord(info) && info['redelivered'] === true),
    id: textOr(headers['id'], ''),
    task: textOr(headers['task'], ''),
    priority,
  };
}

interface Envelope {
  readonly body?: unknown;
  readonly headers?: unknown;
  readonly properties?: unknown;
  readonly 'content-type'?: unknown;
  readonly 'content-encoding'?: unknown;
}

/** Ours to write, whatever the message brings. */
const TRANSPORT_PROPERTIES: ReadonlySet<string> = new Set([
  'delivery_info',
  'priority',
  'body_encoding',
  'delivery_tag',
]);

/** Member by member: to copy the object first would take twice as long as all the rest. */
function propertiesJson({ message, queue }: OutgoingMessage, kombuPriority: number, isText: boolean): string {
  let text = '{';
  for (const [name, value] of Object.entries(message.properties)) {
    if (value === undefined || TRANSPORT_PROPERTIES.has(name)) continue;
    text += `${textJson(name)}:${typeof value === 'string' ? textJson(value) : json(value)},`;
  }
  return (
    `${text}"delivery_info":{"exchange":"","routing_key":${textJson(queue)}},"priority":${kombuPriority},` +
    `${isText ? '' : '"body_encoding":"base64",'}"delivery_tag":"${nextTag()}"}`
  );
}

/** Nearly all texts are their own JSON. */
function textJson(text: string): string {
  return PLAIN_TEXT.test(text) ? `"${text}"` : JSON.stringify(text);
}

const PLAIN_TEXT = /^[ !#-[\]-~]*$/;

/** Kombu finds what a worker holds by its tag, so each is another one, also of two forms of one task. */
const TAG_PREFIX = randomBytes(6).toString('base64url');
let lastTag = 0;

function nextTag(): string {
  lastTag += 1;
  return `${TAG_PREFIX}-${lastTag.toString(36)}`;
}

function isEnvelope(value: unknown): value is Envelope {
  return isRecord(value) && 'body' in value;
}

function foreign(text: string): OpenedEnvelope {
  const { acceptedAt, runs, losses } = head(text);
  return {
    message: {
      headers: {},
      properties: {},
      contentType: UNKNOWN_CONTENT,
      contentEncoding: 'binary',
      body: Buffer.from(text),
    },
    acceptedAt,
    runs,
    losses,
    redelivered: runs > 0,
    id: '',
    task: '',
    priority: 0,
  };
}

/**
 * What the scripts count, where they count it and in the form in which they do (lua/parts/message.lua): the same member in
 * another place, or in another form, is somebody else's and would stand still.
 */
const HEAD = /^\{"taskqueue":\s?\[(\d+),\s?(\d+),\s?(\d+)\],/;

function head(text: string): Pick<OpenedEnvelope, 'acceptedAt' | 'runs' | 'losses'> {
  const match = HEAD.exec(text);
  if (match === null) return NO_HEAD;
  const acceptedAt = countOf(Number(match[1]));
  return {
    acceptedAt: acceptedAt === 0 ? undefined : acceptedAt,
    runs: countOf(Number(match[2])),
    losses: countOf(Number(match[3])),
  };
}

const NO_HEAD = { acceptedAt: undefined, runs: 0, losses: 0 };

function countOf(number: number): number {
  return Number.isSafeInteger(number) ? number : 0;
}

/** Kombu leaves a body that is text as it is where no encoding is named. */
function bodyOf(body: unknown, encoding: unknown): MessageBody {
  if (typeof body !== 'string') return JSON.stringify(body) ?? '';
  return encoding === 'base64' ? Buffer.from(body, 'base64') : body;
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw cannotBeSent(
      'message',
      error instanceof Error ? error.message : error,
      'headers that can be written as JSON',
    );
  }
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
