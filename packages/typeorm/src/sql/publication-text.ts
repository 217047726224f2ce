import { isUtf8 } from 'node:buffer';
import type { Publication } from '@taskqueue/core';
import { BrokerError, bodyBytes } from '@taskqueue/core';

/** A publication as text. Short names, since PostgreSQL carries it in pieces of eight kilobytes. */
interface PublicationText {
  readonly x: string;
  readonly k: Publication['channel']['kind'];
  readonly y: string;
  readonly h: Readonly<Record<string, unknown>>;
  readonly p: Readonly<Record<string, unknown>>;
  readonly t: string;
  readonly e: string;
  /** The body, as it is when it is text, else as base64. */
  readonly b: string;
  readonly base64?: true;
}

/** Longest text of one publication, characters. */
const LONGEST = 4 * 1024 * 1024;

/** Throws MESSAGE_TOO_LARGE over 4 Mi characters. */
export function writePublication({ channel, message }: Publication): string {
  const fields: PublicationText = {
    x: channel.exchange,
    k: channel.kind,
    y: channel.key,
    h: message.headers,
    p: message.properties,
    t: message.contentType,
    e: message.contentEncoding,
    ...bodyFields(bodyBytes(message.body)),
  };
  const text = JSON.stringify(fields);
  if (text.length <= LONGEST) return text;
  throw new BrokerError({
    code: 'MESSAGE_TOO_LARGE',
    message: `What is to be said on ${channel.exchange} has ${text.length} characters, the limit is ${LONGEST}.`,
    remedy: 'Say it in parts, or say where it can be read.',
    fields: { exchange: channel.exchange, value: text.length, limit: LONGEST },
  });
}

function bodyFields(body: Buffer): Pick<PublicationText, 'b' | 'base64'> {
  return isUtf8(body) ? { b: body.toString('utf8') } : { b: body.toString('base64'), base64: true };
}

export function readPublication(text: string): Publication {
  const { x, k, y, h, p, t, e, b, base64 } = JSON.parse(text) as PublicationText;
  return {
    channel: { exchange: x, kind: k, key: y },
    message: {
      headers: h,
      properties: p,
      contentType: t,
      contentEncoding: e,
      body: Buffer.from(b, base64 === true ? 'base64' : 'utf8'),
    },
  };
}
