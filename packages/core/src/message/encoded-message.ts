/** A message as brokers carry it: headers, properties and body bytes, undecoded. Celery protocol 2 unless foreign. */
export interface EncodedMessage {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: MessageProperties;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Uint8Array;
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
