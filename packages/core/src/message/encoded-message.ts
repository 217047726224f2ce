/** A message as brokers carry it: headers, properties and body, undecoded. Celery protocol 2 unless foreign. */
export interface EncodedMessage {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: MessageProperties;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: MessageBody;
}

/**
 * Bytes, or text that stands for its UTF-8 bytes. JSON is text where it is made, where SQL stores keep it and where it is
 * read, and each way to bytes and back would cost as much as parsing it. Whoever writes a driver takes either, by
 * {@link bodyBytes} or {@link bodyText}, and may hand out either.
 */
export type MessageBody = Uint8Array | string;

/** The body as bytes; not a copy where it is bytes already. */
export function bodyBytes(body: MessageBody): Buffer {
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

/** The size of the body in bytes. */
export function bodySize(body: MessageBody): number {
  return typeof body === 'string' ? Buffer.byteLength(body, 'utf8') : body.byteLength;
}

/** Properties in Celery's spelling, as they stand in a Redis envelope; AMQP drivers map them onto basic properties. */
export interface MessageProperties {
  readonly correlation_id?: string;
  readonly reply_to?: string;
  readonly delivery_mode?: number;
  readonly priority?: number;
  /** Milliseconds as text. */
  readonly expiration?: string;
  readonly [name: string]: unknown;
}
