import { bodyBytes } from './encoded-message.js';
import { jsonSerializer } from './json-serializer.js';
import { isForbiddenKey, payloadLimits } from './payload-limits.js';
import type { PayloadLimits } from './payload-limits.js';
import type { Serializer } from './serializer.js';
import { undecodable } from './undecodable.js';

/** What is used of `@msgpack/msgpack`. */
export interface MsgpackCodec {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

/** What is used of `yaml`. */
export interface YamlCodec {
  stringify(value: unknown): string;
  parse(text: string): unknown;
}

/**
 * MessagePack as Kombu writes it, by a library that the application brings: `msgpackSerializer(await
 * import('@msgpack/msgpack'))`. For the setting `serializers`.
 */
export function msgpackSerializer(codec: MsgpackCodec): Serializer {
  return {
    name: 'msgpack',
    contentType: 'application/x-msgpack',
    contentEncoding: 'binary',
    encode: (value, names) => codec.encode(jsonValue(value, names)),
    decode: (bytes, limits) => decoded(bytes, limits, () => codec.decode(bytes)),
  };
}

/** YAML, by a library that the application brings: `yamlSerializer(await import('yaml'))`. For the setting `serializers`. */
export function yamlSerializer(codec: YamlCodec): Serializer {
  return {
    name: 'yaml',
    contentType: 'application/x-yaml',
    contentEncoding: 'utf-8',
    encode: (value, names) => codec.stringify(jsonValue(value, names)),
    decode: (bytes, limits) => decoded(bytes, limits, () => codec.parse(bodyBytes(bytes).toString('utf8'))),
  };
}

const JSON_RULES = jsonSerializer({ dialect: '5.2' });

/** What JSON would make of it, and refuse of it: one rule for what can be sent. */
function jsonValue(value: unknown, names: string | readonly string[] | undefined): unknown {
  return JSON_RULES.decode(bodyBytes(JSON_RULES.encode(value, names)));
}

/** The limits hold for what came out: a few bytes of YAML can name one value many times over. */
function decoded(bytes: Uint8Array, given: PayloadLimits | undefined, read: () => unknown): unknown {
  const limits = given ?? payloadLimits();
  if (bytes.byteLength > limits.maxBytes) {
    throw undecodable(`The body is ${bytes.byteLength} bytes long, more than ${limits.maxBytes} (limit maxBytes).`);
  }
  const value = read();
  let keys = 0;
  const check = (one: unknown, depth: number): void => {
    if (typeof one !== 'object' || one === null || ArrayBuffer.isView(one) || one instanceof Date) return;
    if (depth > limits.maxDepth)
      throw undecodable(`The body is nested deeper than ${limits.maxDepth} (limit maxDepth).`);
    const isList = Array.isArray(one);
    if (!isList && Object.getPrototypeOf(one) !== Object.prototype) throw undecodable('The body holds more than data.');
    for (const [key, inner] of Object.entries(one)) {
      keys += 1;
      if (keys > limits.maxKeys) throw undecodable(`The body has more than ${limits.maxKeys} keys (limit maxKeys).`);
      if (!isList && isForbiddenKey(key)) throw undecodable(`The key "${key}" is not allowed in a message.`);
      check(inner, depth + 1);
    }
  };
  check(value, 1);
  return value;
}
