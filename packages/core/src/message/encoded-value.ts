import type { EncodedValue } from '../ports/result-backend.js';
import type { MessageBody } from './encoded-message.js';
import { bodyBytes } from './encoded-message.js';
import type { Serializer, SerializerRegistry } from './serializer.js';
import { decodeBodyWith } from './serializer.js';

const utf8 = new TextDecoder();

/** A value as text for a result record. Throws VALUE_NOT_SERIALIZABLE naming the path under `field`; see `Serializer.encode`. */
export function encodeValue(serializer: Serializer, value: unknown, field: string | readonly string[]): EncodedValue {
  const body = serializer.encode(value, field);
  const { contentType, contentEncoding } = serializer;
  return { contentType, contentEncoding, text: textOf(body, contentEncoding) };
}

/** The value again. Throws CONTENT_NOT_ACCEPTED or DECODE_FAILED. */
export function decodeValue(serializers: SerializerRegistry, encoded: EncodedValue): unknown {
  const serializer = serializers.forContentType(encoded.contentType);
  const body = encoded.contentEncoding === 'utf-8' ? encoded.text : Buffer.from(encoded.text, 'base64');
  return decodeBodyWith(serializer, body);
}

function textOf(body: MessageBody, contentEncoding: string): string {
  if (contentEncoding === 'utf-8') return typeof body === 'string' ? body : utf8.decode(body);
  return bodyBytes(body).toString('base64');
}
