import type { EncodedValue } from '../ports/result-backend.js';
import type { Serializer, SerializerRegistry } from './serializer.js';

const utf8 = new TextDecoder();

/** A value as text for a result record. Throws VALUE_NOT_SERIALIZABLE naming the path under `field`. */
export function encodeValue(serializer: Serializer, value: unknown, field: string): EncodedValue {
  const bytes = serializer.encode(value, field);
  const { contentType, contentEncoding } = serializer;
  const text = contentEncoding === 'utf-8' ? utf8.decode(bytes) : Buffer.from(bytes).toString('base64');
  return { contentType, contentEncoding, text };
}

/** The value again. Throws CONTENT_NOT_ACCEPTED or DECODE_FAILED. */
export function decodeValue(serializers: SerializerRegistry, encoded: EncodedValue): unknown {
  const serializer = serializers.forContentType(encoded.contentType);
  const bytes = Buffer.from(encoded.text, encoded.contentEncoding === 'utf-8' ? 'utf8' : 'base64');
  return serializer.decode(bytes);
}
