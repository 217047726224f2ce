import type { CeleryDialect } from './celery-dialect.js';
import type { MessageBody } from './encoded-message.js';
import { bodySize } from './encoded-message.js';
import { readJson } from './json-reader.js';
import { writeJson } from './json-writer.js';
import { payloadLimits } from './payload-limits.js';
import type { PayloadLimits } from './payload-limits.js';
import type { Serializer } from './serializer.js';
import { undecodable } from './undecodable.js';

export interface JsonSerializerOptions {
  /** Default `5.6`. Matters for writing only. */
  readonly dialect?: CeleryDialect;
  /** Default {@link DEFAULT_PAYLOAD_LIMITS}. */
  readonly limits?: Partial<PayloadLimits>;
}

/**
 * JSON as Celery reads and writes it, byte for byte: ASCII only, `", "` and `": "` between the parts. (JavaScript has
 * one spelling for 3 and 3.0, and its own for very small fractions; the values are the same.)
 *
 * | JavaScript                    | on the wire                                                             |
 * |-------------------------------|-------------------------------------------------------------------------|
 * | Date                          | `datetime` tag; dialect 5.2: ISO text with `Z`                          |
 * | Uint8Array, Buffer            | `bytes` tag when it is UTF-8, else `base64` tag; dialect 5.2: refused    |
 * | bigint                        | integer; comes back as bigint when beyond 2^53, else as number          |
 * | integers beyond ±2^53         | with an exponent, so that they stay floating-point numbers              |
 * | Map with string keys, Set     | object, array                                                           |
 * | class instance                | its own enumerable properties; what `toJSON` returns where there is one |
 * | undefined                     | null; left out as a property                                            |
 * | Error, Promise, RegExp, function, symbol, NaN, Infinity, cycles | refused                               |
 *
 * Reading accepts what Python writes beyond JSON: tags, NaN, Infinity, integers of any size (bigint).
 */
export function jsonSerializer(options: JsonSerializerOptions = {}): Serializer {
  const dialect = options.dialect ?? '5.6';
  const limits = payloadLimits(options.limits);
  return {
    name: 'json',
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    encode: (value, names = 'value') => writeJson(value, { dialect, limits, names }),
    decode: (bytes, callLimits = limits) => {
      checkBytes(bytes, callLimits);
      return parse(utf8Text(bytes), callLimits);
    },
    decodeText: (text, callLimits = limits) => {
      checkBytes(text, callLimits);
      return parse(text, callLimits);
    },
  };
}

function parse(text: string, limits: PayloadLimits): unknown {
  checkShape(text, limits);
  if (!NEEDS_EXACT_READER.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // Python's NaN and Infinity, or not JSON: the exact reader knows, and says where.
    }
  }
  return readJson(text);
}

/** What `JSON.parse` would let pass or lose; an escaped letter or underscore may spell any of the words. */
const NEEDS_EXACT_READER = /__proto__|__type__|constructor|prototype|\\u00[5-7]|(?<![.\d])\d{16}/;

function checkBytes(body: MessageBody, { maxBytes }: PayloadLimits): void {
  // A character is at most three bytes.
  if (3 * body.length <= maxBytes) return;
  const size = bodySize(body);
  if (size > maxBytes) throw over('maxBytes', `is ${size} bytes long, more than ${maxBytes}`);
}

/** Before anything is parsed. What has too few brackets and colons to pass a limit, as nearly everything, is not scanned. */
function checkShape(text: string, { maxDepth, maxKeys }: PayloadLimits): void {
  const brackets = occurrences(text, '[', maxDepth) + occurrences(text, '{', maxDepth);
  if (brackets <= maxDepth && occurrences(text, ':', maxKeys) <= maxKeys) return;
  const { depth, keys } = measure(text);
  if (depth > maxDepth) throw over('maxDepth', `is nested ${depth} deep, more than ${maxDepth}`);
  if (keys > maxKeys) throw over('maxKeys', `has ${keys} keys, more than ${maxKeys}`);
}

/** Counts no further than one more than `most`. */
function occurrences(text: string, character: string, most: number): number {
  let count = 0;
  let at = text.indexOf(character);
  while (at >= 0 && count <= most) {
    count += 1;
    at = text.indexOf(character, at + 1);
  }
  return count;
}

function measure(text: string): { readonly depth: number; readonly keys: number } {
  let open = 0;
  let depth = 0;
  let keys = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === 0x22) inString = false;
      else if (code === 0x5c) at += 1;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5b || code === 0x7b) {
      open += 1;
      if (open > depth) depth = open;
    } else if (code === 0x5d || code === 0x7d) open -= 1;
    else if (code === 0x3a) keys += 1;
  }
  return { depth, keys };
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8Text(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!text.includes('\uFFFD')) return text;
  // Either the replacement character was sent, or it stands for something that is not UTF-8.
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw undecodable('The body is not valid UTF-8.');
  }
}

function over(limit: keyof PayloadLimits, what: string): Error {
  return undecodable(`The body ${what} (limit ${limit}).`, { limit });
}
