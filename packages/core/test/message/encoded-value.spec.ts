import { describe, expect, it } from 'vitest';
import { bodyBytes } from '../../src/message/encoded-message.js';
import { decodeValue, encodeValue } from '../../src/message/encoded-value.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { SerializerRegistry } from '../../src/message/serializer.js';
import type { Serializer } from '../../src/message/serializer.js';

const json = jsonSerializer();
const reversed: Serializer = {
  name: 'reversed',
  contentType: 'application/x-reversed',
  contentEncoding: 'binary',
  encode: (value) => Uint8Array.from(bodyBytes(json.encode(value))).toReversed(),
  decode: (bytes) => json.decode(bytes.toReversed()),
};

describe('encoded values', () => {
  const registry = new SerializerRegistry({ serializers: [json, reversed] });

  it('are text as their serializer made it, or base64', () => {
    expect(encodeValue(json, { a: [1] }, 'result')).toEqual({
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      text: '{"a": [1]}',
    });
    expect(encodeValue(reversed, 12, 'result').text).toBe(Buffer.from('21').toString('base64'));
  });

  it.each([json, reversed])('come back from $name', (serializer) => {
    const value = { when: new Date(0), big: 2n ** 70n, text: 'é😀' };
    expect(decodeValue(registry, encodeValue(serializer, value, 'result'))).toEqual(value);
  });

  it('name what cannot be kept, and are refused in a type that is not accepted', () => {
    expect(() => encodeValue(json, { f: () => 1 }, 'result')).toThrow(/^result\.f \(function\) cannot be sent/);
    const encoded = { ...encodeValue(json, 1, 'result'), contentType: 'application/x-python-serialize' };
    expect(() => decodeValue(registry, encoded)).toThrow(expect.objectContaining({ code: 'CONTENT_NOT_ACCEPTED' }));
  });
});
