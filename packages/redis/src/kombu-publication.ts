import { randomUUID } from 'node:crypto';
import type { EncodedMessage, Publication } from '@taskqueue/core';
import { BrokerError, bodyBytes } from '@taskqueue/core';

/** Beyond this a slow listener would soon be cut off: the server holds 32 MiB for one, or 8 for a minute. */
const LONGEST = 4 * 1024 * 1024;

/**
 * What is said on a channel, as Kombu says it: a message in its envelope, with where it was said in `delivery_info`.
 * Throws MESSAGE_TOO_LARGE over 4 Mi characters.
 */
export function writePublication({ channel, message }: Publication): string {
  const { exchange, key } = channel;
  const text = JSON.stringify({
    body: bodyBytes(message.body).toString('base64'),
    'content-encoding': message.contentEncoding,
    'content-type': message.contentType,
    headers: message.headers,
    properties: {
      priority: 0,
      ...message.properties,
      delivery_info: { exchange, routing_key: key },
      body_encoding: 'base64',
      delivery_tag: randomUUID(),
    },
  });
  if (text.length <= LONGEST) return text;
  throw new BrokerError({
    code: 'MESSAGE_TOO_LARGE',
    message: `What is to be said on ${exchange} has ${text.length} characters, the limit is ${LONGEST}.`,
    remedy: 'Say it in parts, or say where it can be read.',
    fields: { exchange, value: text.length, limit: LONGEST },
  });
}

/** Undefined for what is no message of Kombu's. */
export function readPublication(text: string): EncodedMessage | undefined {
  const envelope = parsed(text);
  const { body, headers = {}, properties = {} } = envelope ?? {};
  if (envelope === undefined || typeof body !== 'string' || !isRecord(headers) || !isRecord(properties))
    return undefined;
  return {
    headers,
    properties,
    contentType: textOf(envelope['content-type']),
    contentEncoding: textOf(envelope['content-encoding']),
    body: Buffer.from(body, properties['body_encoding'] === 'base64' ? 'base64' : 'utf8'),
  };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
