import { describe, expect, it } from 'vitest';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { SerializerRegistry } from '../../src/message/serializer.js';
import type { Serializer } from '../../src/message/serializer.js';

const json = jsonSerializer();
const text: Serializer = {
  name: 'text',
  contentType: 'text/plain',
  contentEncoding: 'utf-8',
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes) => Buffer.from(bytes).toString(),
};
const configurationError = expect.objectContaining({ code: 'CONFIGURATION_INVALID' }) as unknown;

describe('SerializerRegistry', () => {
  it('accepts all it was given by default', () => {
    const registry = new SerializerRegistry({ serializers: [json, text] });
    expect(registry.accepted).toEqual(['application/json', 'text/plain']);
    expect(registry.forContentType('text/plain')).toBe(text);
    expect(registry.forContentType('application/json;charset=utf-8')).toBe(json);
  });

  it('accepts only what is listed, by name or content type', () => {
    const registry = new SerializerRegistry({ serializers: [json, text], accept: ['json'] });
    expect(registry.accepted).toEqual(['application/json']);
    expect(new SerializerRegistry({ serializers: [json, text], accept: ['text/plain'] }).accepted).toEqual([
      'text/plain',
    ]);
    expect(registry.named('text')).toBe(text);
    expect(() => registry.forContentType('text/plain')).toThrow(
      expect.objectContaining({
        code: 'CONTENT_NOT_ACCEPTED',
        fields: { contentType: 'text/plain', accepted: ['application/json'] },
      }),
    );
    expect(() => registry.forContentType('text/plain')).toThrow(
      /"text\/plain" is not accepted; accepted: application\/json/,
    );
  });

  it.each([['pickle'], ['application/x-python-serialize']])('refuses to accept %s', (entry) => {
    expect(() => new SerializerRegistry({ serializers: [json], accept: ['json', entry] })).toThrow(configurationError);
    expect(() => new SerializerRegistry({ serializers: [json], accept: [entry] })).toThrow(/accept\[0\]/);
  });

  it('refuses a serializer for pickle, and an accepted type nobody reads', () => {
    const pickle = { ...text, name: 'trusted', contentType: 'application/x-python-serialize' };
    expect(() => new SerializerRegistry({ serializers: [json, pickle], accept: ['json'] })).toThrow(configurationError);
    expect(() => new SerializerRegistry({ serializers: [json], accept: ['msgpack'] })).toThrow(
      /accept\[0\]: expected the name/,
    );
    expect(() => new SerializerRegistry({ serializers: [json] }).named('msgpack')).toThrow(configurationError);
  });
});
