import { isTaskQueueError, MessageError, showValue } from '../errors/errors.js';
import type { CeleryDialect } from './celery-dialect.js';
import { leanHeaders, leanProperties, openHeaders, taskHeaders, taskProperties } from './celery-headers.js';
import { openProtocol1 } from './celery-protocol-v1.js';
import { compress, decompress } from './compression-codec.js';
import type { EncodedMessage, MessageBody } from './encoded-message.js';
import { bodyBytes, bodySize } from './encoded-message.js';
import { DEFAULT_PAYLOAD_LIMITS } from './payload-limits.js';
import type { PayloadLimits } from './payload-limits.js';
import type { Serializer, SerializerRegistry } from './serializer.js';
import { decodeBodyWith } from './serializer.js';
import type { TaskBody, TaskEnvelope, TaskMessage } from './task-message.js';
import {
  illTyped,
  isRecord,
  optionalList,
  optionalRecord,
  optionalSignature,
  optionalSignatures,
  optionalText,
} from './wire-fields.js';
import type { WireFields } from './wire-fields.js';

export type { CeleryDialect } from './celery-dialect.js';
import { undecodable } from './undecodable.js';

/**
 * Celery's message protocol 2:
 *
 * ```text
 *   TaskMessage ──encodeTaskMessage──► headers + properties + body [args, kwargs, embed]
 *                                         │                            │
 *   TaskEnvelope ◄──────openEnvelope──────┘      (cheap: known? expired? revoked?)
 *   TaskBody     ◄──────decodeBody─────────────────────────────────────┘
 * ```
 *
 * A message without the header `task` is protocol 1, where everything is in the body: opening it decodes it.
 */
export interface EncodeTaskOptions {
  readonly serializer: Serializer;
  readonly dialect: CeleryDialect;
  /** `zlib`, `gzip`, `brotli`, `zstd` or `none`. Default `none`. */
  readonly compression?: string;
  /** Leave out the headers and properties that readers fill in by themselves. Default false: all that Celery writes. */
  readonly lean?: boolean;
}

export interface DecodeOptions {
  readonly serializers: SerializerRegistry;
  /** Default {@link DEFAULT_PAYLOAD_LIMITS}. They hold for the body before and after decompression. */
  readonly limits?: PayloadLimits;
}

/**
 * The message as brokers carry it. Throws UsageError VALUE_NOT_SERIALIZABLE that names the path of the argument, or
 * TASK_OPTIONS_INVALID for a field that no header can hold.
 */
export function encodeTaskMessage(message: TaskMessage, options: EncodeTaskOptions): EncodedMessage {
  const { serializer, dialect, compression = 'none', lean = false } = options;
  const { args, kwargs, callbacks = null, errbacks = null, chain = null, chord = null } = message;
  const plain = serializer.encode([args, kwargs, { callbacks, errbacks, chain, chord }], BODY_NAMES);
  const compressed = compression === 'none' ? undefined : compress(bodyBytes(plain), compression);
  return {
    headers: lean ? leanHeaders(message, compressed?.mediaType) : taskHeaders(message, dialect, compressed?.mediaType),
    properties: lean ? leanProperties(message) : taskProperties(message),
    contentType: serializer.contentType,
    contentEncoding: serializer.contentEncoding,
    body: compressed?.bytes ?? plain,
  };
}

/** What the elements of the body are called in error messages; `callbacks` and its kin need no further name. */
const BODY_NAMES = ['args', 'kwargs', ''] as const;

/**
 * The envelope, from the headers alone. Throws MessageError: DECODE_FAILED for a missing or ill-typed field,
 * PROTOCOL_UNKNOWN for what is no task message, CONTENT_NOT_ACCEPTED for a protocol 1 message of another type.
 */
export function openEnvelope(encoded: EncodedMessage, options: DecodeOptions): TaskEnvelope {
  if (!isRecord(encoded.headers)) throw illTyped('headers', 'an object', encoded.headers);
  if (isProtocol2(encoded)) return openHeaders(encoded);
  return openProtocol1(encoded, requireProtocol1(decodeContent(encoded, options)));
}

/**
 * Arguments and continuations. Throws MessageError: CONTENT_NOT_ACCEPTED for a content type or compression that is not
 * accepted, DECODE_FAILED for everything else, whatever the sender did.
 */
export function decodeBody(encoded: EncodedMessage, envelope: TaskEnvelope, options: DecodeOptions): TaskBody {
  const body = decodeContent(encoded, options);
  if (!isProtocol2(encoded)) {
    const fields = requireProtocol1(body);
    return taskBody(fields, fields);
  }
  if (!Array.isArray(body) || body.length !== 3) {
    throw illTyped(`The body of ${envelope.task}[${envelope.id}]`, '[args, kwargs, embed]', body);
  }
  // By place: this runs for every message, and to take an array apart by names goes through an iterator.
  const embed = (body as readonly unknown[])[2];
  if (embed !== null && !isRecord(embed)) throw illTyped('embed', 'an object', embed);
  return taskBody({ args: (body as readonly unknown[])[0], kwargs: (body as readonly unknown[])[1] }, embed ?? {});
}

/** Both protocols name these fields alike; protocol 1 has them in one object. */
function taskBody(call: WireFields, embed: WireFields): TaskBody {
  return {
    args: optionalList(call, 'args') ?? [],
    kwargs: optionalRecord(call, 'kwargs') ?? {},
    callbacks: optionalSignatures(embed, 'callbacks'),
    errbacks: optionalSignatures(embed, 'errbacks'),
    chain: optionalSignatures(embed, 'chain'),
    chord: optionalSignature(embed, 'chord'),
  };
}

function isProtocol2({ headers }: EncodedMessage): boolean {
  return headers['task'] !== undefined && headers['task'] !== null;
}

function requireProtocol1(body: unknown): WireFields {
  if (isRecord(body) && 'task' in body) return body;
  throw new MessageError({
    code: 'PROTOCOL_UNKNOWN',
    message: 'This is no task message: neither its headers nor its body name a task.',
    remedy: 'Keep other messages out of the queues that task workers consume.',
  });
}

function decodeContent(encoded: EncodedMessage, options: DecodeOptions): unknown {
  const { serializers, limits = DEFAULT_PAYLOAD_LIMITS } = options;
  const serializer = serializers.forContentType(encoded.contentType);
  checkEncoding(encoded, serializer);
  const { body } = encoded;
  const { maxBytes } = limits;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) throw illTyped('body', 'bytes or text', body);
  if (3 * body.length > maxBytes && bodySize(body) > maxBytes) {
    throw undecodable(`The body is ${bodySize(body)} bytes long, more than ${maxBytes} (limit maxBytes).`, {
      limit: 'maxBytes',
    });
  }
  const compression = optionalText(encoded.headers, 'compression') ?? '';
  const plain = compression === '' ? body : decompress(bodyBytes(body), compression, { maxBytes });
  return decodeWith(serializer, plain, limits);
}

function decodeWith(serializer: Serializer, body: MessageBody, limits: PayloadLimits): unknown {
  try {
    return decodeBodyWith(serializer, body, limits);
  } catch (error) {
    if (isTaskQueueError(error)) throw error;
    // A serializer's own error may quote the body, which may hold secrets.
    throw undecodable(`The body is not valid ${serializer.contentType}.`);
  }
}

const UTF8_ENCODINGS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii', 'binary', 'ascii-8bit', '']);

function checkEncoding({ contentEncoding }: EncodedMessage, serializer: Serializer): void {
  if (serializer.contentEncoding !== 'utf-8' || UTF8_ENCODINGS.has(String(contentEncoding ?? '').toLowerCase())) return;
  throw new MessageError({
    code: 'CONTENT_NOT_ACCEPTED',
    message: `Content encoding ${showValue(contentEncoding)} is not accepted for ${serializer.contentType}; it must be utf-8.`,
    fields: { contentEncoding },
  });
}
