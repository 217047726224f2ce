import type { EncodedMessage, MessageProperties } from '@taskqueue/core';

/**
 * Headers and properties of a message as the text of one column. What nearly every message says, or repeats of the task's
 * name and id, which have columns of their own, is left out, because smaller rows cost less to write, log and read:
 *
 * ```text
 *   { "h": headers that differ, "H": repeated headers that are missing, "p": properties,
 *     "t": content type, "c": content encoding, "b": how the bytes of the body became text }
 * ```
 *
 * Every member is left out where it would be empty or usual, so most rows hold `{"h":{"origin":"…"}}`. It is an
 * encoding of this package's own; it gives back exactly the message that was put in, but for the order of its keys.
 */
interface EnvelopeText {
  readonly h?: Record<string, unknown>;
  readonly H?: readonly string[];
  readonly p?: MessageProperties;
  readonly t?: string;
  readonly c?: string;
  readonly b?: 'base64';
}

export type BodyEncoding = EnvelopeText['b'];

/** What the columns beside it say. */
export interface NamedRow {
  readonly task_id: string;
  readonly task: string;
}

const USUAL_TYPE = 'application/json';
const USUAL_ENCODING = 'utf-8';
const REPEATED = ['lang', 'task', 'id'] as const;

export function writeEnvelope(
  message: Omit<EncodedMessage, 'body'>,
  named: NamedRow,
  bodyEncoding: BodyEncoding,
): string {
  const { headers, properties, contentType, contentEncoding } = message;
  const repeated = repeatedHeaders(named);
  const text: Writable<EnvelopeText> = {};
  const differing = headersThatDiffer(headers, repeated);
  if (differing !== undefined) text.h = differing;
  const missing = REPEATED.filter((key) => headers[key] === undefined);
  if (missing.length > 0) text.H = missing;
  if (Object.keys(properties).length > 0) text.p = properties;
  if (contentType !== USUAL_TYPE) text.t = contentType;
  if (contentEncoding !== USUAL_ENCODING) text.c = contentEncoding;
  if (bodyEncoding !== undefined) text.b = bodyEncoding;
  return JSON.stringify(text);
}

export function readEnvelope(
  text: string,
  named: NamedRow,
): Omit<EncodedMessage, 'body'> & { readonly bodyEncoding: BodyEncoding } {
  const { h, H, p = {}, t = USUAL_TYPE, c = USUAL_ENCODING, b } = JSON.parse(text) as EnvelopeText;
  const headers: Record<string, unknown> = repeatedHeaders(named);
  if (h !== undefined) for (const key of Object.keys(h)) define(headers, key, h[key]);
  if (H !== undefined) for (const key of H) delete headers[key];
  return { headers, properties: p, contentType: t, contentEncoding: c, bodyEncoding: b };
}

type Headers = Readonly<Record<string, unknown>>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

function repeatedHeaders({ task, task_id }: NamedRow): Record<(typeof REPEATED)[number], unknown> {
  return { lang: 'js', task, id: task_id };
}

function headersThatDiffer(headers: Headers, repeated: Headers): Headers | undefined {
  let differing: Record<string, unknown> | undefined;
  for (const key of Object.keys(headers)) {
    const value = headers[key];
    if (value !== undefined && value !== repeated[key]) define((differing ??= {}), key, value);
  }
  return differing;
}

/** JSON.parse makes `__proto__` an own member, and so it must stay: the checks of a hostile message look for it. */
function define(values: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(values, key, { value, enumerable: true });
  else values[key] = value;
}
