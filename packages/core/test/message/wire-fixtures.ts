import { readdirSync, readFileSync } from 'node:fs';
import type { EncodedMessage } from '../../src/message/encoded-message.js';

/** One message as Celery 5.2 put it into a broker, and what it means. */
export interface WireFixture {
  /** `redis/task_add_delay#0` */
  readonly name: string;
  readonly encoded: EncodedMessage;
  /** Undefined for content types that only Python decodes. */
  readonly body: unknown;
}

interface RawFixture {
  readonly messages: readonly {
    readonly raw: { readonly utf8?: string; readonly body?: RawBytes };
    readonly decoded: {
      readonly headers: Record<string, unknown>;
      readonly properties: Record<string, unknown>;
      readonly body?: unknown;
    };
  }[];
}

type RawBytes = { readonly utf8?: string; readonly base64?: string };

/** Every captured task message of a broker. */
export function wireFixtures(broker: 'redis' | 'amqp'): WireFixture[] {
  const files = readdirSync(new URL(`./fixtures/${broker}/`, import.meta.url)).filter((file) =>
    /^(task|canvas)_/.test(file),
  );
  return files.toSorted().flatMap((file) => {
    const { messages } = readFixture(`${broker}/${file}`) as RawFixture;
    return messages.map(({ raw, decoded }, index) => ({
      name: `${broker}/${file.replace('.json', '')}#${index}`,
      encoded: raw.utf8 === undefined ? fromAmqp(raw.body as RawBytes, decoded) : fromRedis(raw.utf8),
      body: decoded.body,
    }));
  });
}

/** One message by name. */
export function wireFixture(name: string): WireFixture {
  const found = wireFixtures(name.startsWith('amqp/') ? 'amqp' : 'redis').find(
    (fixture) => fixture.name === `${name}#0`,
  );
  if (found === undefined) throw new Error(`no fixture ${name}`);
  return found;
}

/** A fixture file as it is. */
export function readFixture(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`./fixtures/${path}`, import.meta.url), 'utf8'));
}

function fromRedis(text: string): EncodedMessage {
  const envelope = JSON.parse(text) as Record<string, unknown>;
  return {
    headers: envelope['headers'] as Record<string, unknown>,
    properties: envelope['properties'] as Record<string, unknown>,
    contentType: envelope['content-type'] as string,
    contentEncoding: envelope['content-encoding'] as string,
    body: Buffer.from(envelope['body'] as string, 'base64'),
  };
}

function fromAmqp(body: RawBytes, decoded: RawFixture['messages'][number]['decoded']): EncodedMessage {
  return {
    headers: decoded.headers,
    properties: decoded.properties,
    contentType: decoded.properties['content_type'] as string,
    contentEncoding: decoded.properties['content_encoding'] as string,
    body: body.utf8 === undefined ? Buffer.from(body.base64 as string, 'base64') : Buffer.from(body.utf8),
  };
}
