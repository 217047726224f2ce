import { describe, expect, it } from 'vitest';
import { decodeBody, encodeTaskMessage, openEnvelope } from '../../src/message/celery-protocol.js';
import { decompress } from '../../src/message/compression-codec.js';
import type { EncodedMessage } from '../../src/message/encoded-message.js';
import { bodyBytes } from '../../src/message/encoded-message.js';
import { parseIsoInstant } from '../../src/message/iso-instant.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { pythonRepr } from '../../src/message/python-repr.js';
import { SerializerRegistry } from '../../src/message/serializer.js';
import type { TaskMessage } from '../../src/message/task-message.js';
import { readFixture, wireFixture, wireFixtures } from './wire-fixtures.js';

const serializer = jsonSerializer({ dialect: '5.2' });
const options = { serializers: new SerializerRegistry({ serializers: [serializer] }) };
const all = [...wireFixtures('redis'), ...wireFixtures('amqp')];

const compression = (encoded: EncodedMessage): unknown => encoded.headers['compression'];
const isProtocol1 = (encoded: EncodedMessage): boolean => Object.keys(encoded.headers).length === 0;
const readable = all.filter(
  ({ encoded }) =>
    encoded.contentType === 'application/json' &&
    [undefined, 'application/x-gzip'].includes(compression(encoded) as string),
);
const refused = all.filter((fixture) => !readable.includes(fixture));

/** Python types JSON does not carry (tuples inside, lists as arguments, Decimal), and characters that we escape. */
const OTHER_REPRS = /unicode|special_types|argsrepr|canvas_(chunks|map|starmap)|send_task_by_name/;

function open(encoded: EncodedMessage): TaskMessage {
  const envelope = openEnvelope(encoded, options);
  return { ...envelope, ...decodeBody(encoded, envelope, options) };
}

function plainBody(encoded: EncodedMessage): string {
  const bytes = bodyBytes(encoded.body);
  const coding = compression(encoded) as string | undefined;
  return Buffer.from(coding === undefined ? bytes : decompress(bytes, coding, { maxBytes: 1e6 })).toString();
}

/** Instants are written in UTC and in milliseconds, whatever the sender's offset and precision. */
function comparable(headers: Readonly<Record<string, unknown>>): unknown {
  const instant = (text: unknown): unknown => (typeof text === 'string' ? parseIsoInstant(text) : text);
  return Object.entries({ ...headers, eta: instant(headers['eta']), expires: instant(headers['expires']) });
}

describe('messages captured from Celery 5.2', () => {
  it('are all here', () => {
    expect(all.length).toBeGreaterThan(150);
    expect(readable.length).toBeGreaterThan(140);
    expect(readable.filter(({ encoded }) => isProtocol1(encoded))).toHaveLength(4);
  });

  it.each(readable.filter(({ encoded }) => !isProtocol1(encoded)))(
    '$name: opens, and encodes to the same',
    ({ encoded, body }) => {
      const message = open(encoded);
      const [args, kwargs, embed] = body as [unknown[], unknown, Record<string, unknown>];
      const { callbacks = null, errbacks = null, chain = null, chord = null } = message;
      expect(JSON.stringify({ args: message.args, kwargs: message.kwargs }, bigintAsNumber)).toEqual(
        JSON.stringify({ args, kwargs }),
      );
      expect({ callbacks, errbacks, chain, chord }).toEqual(embed);
      const again = encodeTaskMessage(message, {
        serializer,
        dialect: '5.2',
        ...(compression(encoded) === undefined ? {} : { compression: 'zlib' }),
      });
      expect(comparable(again.headers)).toEqual(comparable(encoded.headers));
      // JavaScript has no 3.0; everything else is the same text.
      expect(plainBody(again)).toBe(plainBody(encoded).replace(' 3.0,', ' 3,'));
      expect(open(again)).toEqual(message);
      expect(again.properties).toMatchObject({
        correlation_id: encoded.properties.correlation_id,
        reply_to: encoded.properties.reply_to,
        delivery_mode: encoded.properties.delivery_mode,
      });
      expect(again.properties.expiration).toBe(encoded.properties.expiration);
      expect(again.properties.priority).toBe(encoded.properties.priority);
    },
  );

  it.each(readable.filter(({ encoded }) => isProtocol1(encoded)))('$name: opens as protocol 1', ({ encoded, body }) => {
    const message = open(encoded);
    const fields = body as Record<string, unknown>;
    expect(message).toMatchObject({
      id: fields['id'],
      task: fields['task'],
      args: fields['args'],
      kwargs: fields['kwargs'],
      retries: 0,
      lang: 'py',
    });
    expect(message.rootId).toBe(message.id);
    expect(message.argsRepr).toBe('(2, 3)');
    expect(message.callbacks ?? null).toEqual(fields['callbacks']);
    expect(message.eta).toBe(fields['eta'] === null ? undefined : Math.floor(Date.parse(fields['eta'] as string)));
    expect(message.timeLimitMs).toBe((fields['timelimit'] as number[])[0] === null ? undefined : 30_000);
    expect(message.expiration).toBe(encoded.properties.expiration);
  });

  it.each(refused)('$name: is refused by its content type or compression', ({ encoded }) => {
    const envelope = openEnvelope(encoded, options);
    expect(() => decodeBody(encoded, envelope, options)).toThrow(
      expect.objectContaining({ code: 'CONTENT_NOT_ACCEPTED' }),
    );
  });

  it.each(readable.filter(({ name }) => !OTHER_REPRS.test(name)))(
    '$name: argsrepr and kwargsrepr are what we make',
    ({ encoded }) => {
      const message = open(encoded);
      if (isProtocol1(encoded)) return;
      expect(pythonRepr(message.args, { tuple: true })).toBe(message.argsRepr);
      expect(pythonRepr(message.kwargs)).toBe(message.kwargsRepr);
    },
  );

  it('refuses what it refuses by name', () => {
    expect(new Set(refused.map(({ name }) => name.replace(/^\w+\/|#\d+$/g, '')))).toEqual(
      new Set([
        'task_compression_bzip2',
        'task_compression_lzma',
        'task_msgpack_zlib',
        'task_serializer_msgpack',
        'task_serializer_pickle',
        'task_serializer_yaml',
        'task_signed_auth',
      ]),
    );
  });

  it('reads single fields', () => {
    const message = (name: string): TaskMessage => open(wireFixture(name).encoded);
    expect(message('redis/task_eta_naive').eta).toBe(Date.UTC(2030, 0, 2, 3, 4, 5));
    expect(message('redis/task_eta_offset').eta).toBe(Date.UTC(2030, 0, 2, 1, 4, 5));
    expect(message('redis/task_time_limit')).toMatchObject({ timeLimitMs: 30_000, softTimeLimitMs: 20_500 });
    expect(message('amqp/task_headers').customHeaders).toEqual(
      Object.assign(Object.create(null) as object, { 'x-interop': 'v', 'x-number': 7, 'x-map': { a: [1, 2] } }),
    );
    expect(Object.getPrototypeOf(message('amqp/task_headers').customHeaders)).toBeNull();
    expect(message('redis/task_big_int_and_float').args).toEqual([2n ** 53n + 1n, -(2n ** 63n), 1e300, 0.1, -0]);
    expect(message('redis/task_unicode').args).toEqual(['\u0000\u2028 😀 \\ " é']);
    expect(message('redis/task_retries_3').retries).toBe(3);
    expect(message('redis/task_shadow').shadow).toBeTypeOf('string');
    expect(message('redis/canvas_chord').chord).toMatchObject({ task: 'interop.tsum', immutable: false });
    expect(message('redis/canvas_chain_three_immutable').chain?.length).toBe(2);
  });

  it('is a fixture that was read whole', () => {
    expect(readFixture('redis/task_add_delay.json')).toMatchObject({ fixture: 'task_add_delay' });
  });
});

/** The fixture's own decoded view is ordinary JSON, where long integers are rounded. */
function bigintAsNumber(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
