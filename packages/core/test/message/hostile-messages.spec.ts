import { deflateSync, brotliCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { isTaskQueueError } from '../../src/errors/errors.js';
import { decodeBody, openEnvelope } from '../../src/message/celery-protocol.js';
import type { EncodedMessage } from '../../src/message/encoded-message.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { SerializerRegistry } from '../../src/message/serializer.js';
import { wireFixture } from './wire-fixtures.js';

const options = { serializers: new SerializerRegistry({ serializers: [jsonSerializer()] }) };
const good = wireFixture('redis/task_add_delay').encoded;
const EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}';

const withHeaders = (headers: Record<string, unknown>): EncodedMessage => ({
  ...good,
  headers: { ...good.headers, ...headers },
});
const withProperties = (properties: Record<string, unknown>): EncodedMessage => ({
  ...good,
  properties: { ...good.properties, ...properties },
});
const withBody = (body: string | Uint8Array, headers: Record<string, unknown> = {}): EncodedMessage => ({
  ...withHeaders(headers),
  body: typeof body === 'string' ? Buffer.from(body) : body,
});
const without = (name: string): EncodedMessage => ({
  ...good,
  headers: Object.fromEntries(Object.entries(good.headers).filter(([key]) => key !== name)),
});
const v1 = (body: unknown): EncodedMessage => ({ ...good, headers: {}, body: Buffer.from(JSON.stringify(body)) });
const parsedHeaders = (text: string): EncodedMessage => withHeaders(JSON.parse(text) as Record<string, unknown>);
const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
const ownProto = (text: string): EncodedMessage => ({ ...good, headers: JSON.parse(text) as Record<string, unknown> });

function handle(encoded: EncodedMessage): void {
  const envelope = openEnvelope(encoded, options);
  decodeBody(encoded, envelope, options);
}

const DECODE = 'DECODE_FAILED';
const hostile: [name: string, message: EncodedMessage, code: string][] = [
  ['no headers at all', { ...good, headers: undefined as never }, DECODE],
  ['headers that are a list', { ...good, headers: [] as never }, DECODE],
  ['neither headers nor a task in the body', { ...good, headers: {} }, 'PROTOCOL_UNKNOWN'],
  ['another body without a task', v1({ hello: 1 }), 'PROTOCOL_UNKNOWN'],
  ['a body that is null', v1(null), 'PROTOCOL_UNKNOWN'],
  [
    'protocol 1 in pickle',
    { ...good, headers: {}, contentType: 'application/x-python-serialize' },
    'CONTENT_NOT_ACCEPTED',
  ],
  ['protocol 1 without id', v1({ task: 'x' }), DECODE],
  ['protocol 1 with an object as id', v1({ task: 'x', id: {} }), DECODE],
  ['protocol 1 with text as args', v1({ task: 'x', id: 'a', args: 'x' }), DECODE],
  ['task that is a number', withHeaders({ task: 7 }), DECODE],
  ['task that is an object', withHeaders({ task: { toString: 'x' } }), DECODE],
  ['task that is empty', withHeaders({ task: '' }), DECODE],
  ['task of 10 MB', withHeaders({ task: 'x'.repeat(1e7) }), DECODE],
  ['task with control characters', withHeaders({ task: 'a\r\nb' }), DECODE],
  ['no id', without('id'), DECODE],
  ['id null', withHeaders({ id: null }), DECODE],
  ['id that is a list', withHeaders({ id: ['a'] }), DECODE],
  ['id with NUL', withHeaders({ id: 'a\0b' }), DECODE],
  ['id of 300 characters', withHeaders({ id: 'x'.repeat(300) }), DECODE],
  ['retries as text', withHeaders({ retries: '3' }), DECODE],
  ['retries negative', withHeaders({ retries: -1 }), DECODE],
  ['retries 1e308', withHeaders({ retries: 1e308 }), DECODE],
  ['retries NaN', withHeaders({ retries: NaN }), DECODE],
  ['retries 0.5', withHeaders({ retries: 0.5 }), DECODE],
  ['eta in the year 275760', withHeaders({ eta: '+275760-09-13T00:00:00.000Z' }), DECODE],
  ['eta as a number', withHeaders({ eta: 5 }), DECODE],
  ['eta in words', withHeaders({ eta: 'tomorrow' }), DECODE],
  ['eta of 1 MB', withHeaders({ eta: '1'.repeat(1e6) }), DECODE],
  ['eta on 30 February', withHeaders({ eta: '2024-02-30T00:00:00' }), DECODE],
  ['expires as an object', withHeaders({ expires: {} }), DECODE],
  ['time limit Infinity', withHeaders({ timelimit: [Infinity, null] }), DECODE],
  ['time limit 1e308', withHeaders({ timelimit: [1e308, null] }), DECODE],
  ['time limit negative', withHeaders({ timelimit: [-1, null] }), DECODE],
  ['time limit as text', withHeaders({ timelimit: '30' }), DECODE],
  ['three time limits', withHeaders({ timelimit: [1, 2, 3] }), DECODE],
  ['group as a number', withHeaders({ group: 5 }), DECODE],
  ['group_index as text', withHeaders({ group_index: '0' }), DECODE],
  ['root_id as an object', withHeaders({ root_id: {} }), DECODE],
  ['parent_id with newline', withHeaders({ parent_id: '\n' }), DECODE],
  ['argsrepr as a list', withHeaders({ argsrepr: [] }), DECODE],
  ['ignore_result as text', withHeaders({ ignore_result: 'no' }), DECODE],
  ['stamps as a list', withHeaders({ stamps: [] }), DECODE],
  ['stamped_headers with numbers', withHeaders({ stamped_headers: [1] }), DECODE],
  ['stamps with __proto__', withHeaders({ stamps: JSON.parse('{"__proto__": {"polluted": 1}}') }), DECODE],
  ['lang as a number', withHeaders({ lang: 1 }), DECODE],
  ['header __proto__', ownProto('{"task": "x", "id": "a", "__proto__": {"polluted": 1}}'), DECODE],
  ['header constructor', parsedHeaders('{"constructor": {"prototype": {"polluted": 1}}}'), DECODE],
  ['header prototype', parsedHeaders('{"prototype": 1}'), DECODE],
  ['__proto__ inside a custom header', parsedHeaders('{"x-map": {"a": [{"__proto__": {"polluted": 1}}]}}'), DECODE],
  ['a custom header nested 1000 deep', withHeaders({ 'x-deep': nested(1_000) }), DECODE],
  ['compression as an object', withHeaders({ compression: {} }), DECODE],
  ['compression unknown', withHeaders({ compression: 'application/x-rot13' }), 'CONTENT_NOT_ACCEPTED'],
  ['compression named constructor', withHeaders({ compression: 'constructor' }), 'CONTENT_NOT_ACCEPTED'],
  ['compression of what is not compressed', withHeaders({ compression: 'application/x-gzip' }), DECODE],
  [
    'a body cut off inside a zlib stream',
    withBody(deflateSync(Buffer.alloc(999)).subarray(0, 8), { compression: 'application/x-gzip' }),
    DECODE,
  ],
  ['a zlib bomb', withBody(deflateSync(Buffer.alloc(200_000_000)), { compression: 'application/x-gzip' }), DECODE],
  [
    'a brotli bomb',
    withBody(brotliCompressSync(Buffer.alloc(50_000_000)), { compression: 'application/x-brotli' }),
    DECODE,
  ],
  ['content type pickle', { ...good, contentType: 'application/x-python-serialize' }, 'CONTENT_NOT_ACCEPTED'],
  ['content type constructor', { ...good, contentType: 'constructor' }, 'CONTENT_NOT_ACCEPTED'],
  ['content type undefined', { ...good, contentType: undefined as never }, 'CONTENT_NOT_ACCEPTED'],
  ['content encoding utf-16', { ...good, contentEncoding: 'utf-16' }, 'CONTENT_NOT_ACCEPTED'],
  ['a body that is text', { ...good, body: 'text' as never }, DECODE],
  ['an empty body', withBody(''), DECODE],
  ['a body that is no JSON', withBody('\x80\x04\x95'), DECODE],
  ['a body of 100 MB', withBody(Buffer.alloc(1e8, 0x20)), DECODE],
  ['a body nested 400 000 deep', withBody('['.repeat(400_000) + ']'.repeat(400_000)), DECODE],
  [
    'a body of 150 000 keys',
    withBody(`[[],{${Array.from({ length: 150_000 }, () => '"":1').join()}},${EMBED}]`),
    DECODE,
  ],
  ['a body that is an object', withBody('{}'), DECODE],
  ['a body of two', withBody('[[], {}]'), DECODE],
  ['args that are an object', withBody(`[{}, {}, ${EMBED}]`), DECODE],
  ['kwargs that are a list', withBody(`[[], [], ${EMBED}]`), DECODE],
  ['kwargs that are a date', withBody(`[[], {"__type__": "datetime", "__value__": "2024-01-01"}, ${EMBED}]`), DECODE],
  ['kwargs with __proto__', withBody(`[[], {"__proto__": {"polluted": 1}}, ${EMBED}]`), DECODE],
  ['args with an escaped __proto__', withBody(`[[{"\\u005f\\u005fproto__": {"polluted": 1}}], {}, ${EMBED}]`), DECODE],
  [
    'args with constructor.prototype',
    withBody(`[[{"constructor": {"prototype": {"polluted": 1}}}], {}, ${EMBED}]`),
    DECODE,
  ],
  ['an unknown tag', withBody(`[[{"__type__": "builtins.eval", "__value__": "1"}], {}, ${EMBED}]`), DECODE],
  ['embed that is text', withBody('[[], {}, "x"]'), DECODE],
  ['a callback without a task', withBody('[[], {}, {"callbacks": [{"args": []}]}]'), DECODE],
  ['a callback that is a number', withBody('[[], {}, {"callbacks": [1]}]'), DECODE],
  ['a chain that is text', withBody('[[], {}, {"chain": "abc"}]'), DECODE],
  ['a chain step whose args are text', withBody('[[], {}, {"chain": [{"task": "a", "args": "x"}]}]'), DECODE],
  ['a chord that is a list', withBody('[[], {}, {"chord": []}]'), DECODE],
  [
    'an errback whose immutable is text',
    withBody('[[], {}, {"errbacks": [{"task": "a", "immutable": "no"}]}]'),
    DECODE,
  ],
  ['priority as text', withProperties({ priority: 'high' }), DECODE],
  ['correlation_id as a number', withProperties({ correlation_id: 5 }), DECODE],
  ['reply_to as an object', withProperties({ reply_to: {} }), DECODE],
  ['delivery_mode Infinity', withProperties({ delivery_mode: Infinity }), DECODE],
];

afterEach(() => {
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

describe('hostile messages', () => {
  it('are many', () => expect(hostile.length).toBeGreaterThan(80));

  it.each(hostile)('%s', (_name, message, code) => {
    const started = performance.now();
    let caught: unknown;
    try {
      handle(message);
    } catch (error) {
      caught = error;
    }
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(isTaskQueueError(caught)).toBe(true);
    expect(caught).toMatchObject({ name: 'MessageError', code });
    expect((caught as Error).message.length).toBeLessThan(600);
  });

  it('names the field', () => {
    expect(() => handle(withHeaders({ retries: '3' }))).toThrow(
      'retries must be a whole number from 0 to 2147483647, got "3".',
    );
    expect(() => handle(without('id'))).toThrow('id is missing.');
    expect(() => handle(withBody('{}'))).toThrow(
      `The body of interop.add[${String(good.headers['id'])}] must be [args, kwargs, embed], got an object.`,
    );
    expect(() => handle(withBody('[[], {}, {"callbacks": [{"args": []}]}]'))).toThrow('callbacks[0].task is missing.');
  });
});

describe('tolerated', () => {
  it('a message of another version with headers missing', () => {
    const message = { ...good, headers: { task: 'a', id: 'b' }, properties: {} };
    const envelope = openEnvelope(message, options);
    expect(envelope).toMatchObject({
      rootId: 'b',
      correlationId: 'b',
      retries: 0,
      replyTo: '',
      lang: 'py',
      ignoreResult: false,
      deliveryMode: 2,
      eta: undefined,
      priority: undefined,
      stamps: {},
      customHeaders: {},
    });
  });

  it('nulls for args, kwargs and embed, and incomplete signatures', () => {
    const envelope = openEnvelope(good, options);
    expect(decodeBody(withBody('[null, null, null]'), envelope, options)).toEqual({ args: [], kwargs: {} });
    expect(
      decodeBody(withBody('[[], {}, {"callbacks": {"task": "a", "extra": 1}}]'), envelope, options).callbacks,
    ).toEqual([{ task: 'a', args: [], kwargs: {}, options: {}, subtask_type: null, immutable: false, extra: 1 }]);
  });

  it('content types with parameters, and encodings that mean UTF-8', () => {
    const envelope = openEnvelope(good, options);
    for (const variant of [
      { contentType: 'Application/JSON; charset=utf-8' },
      { contentEncoding: 'UTF-8' },
      { contentEncoding: 'binary' },
    ]) {
      expect(decodeBody({ ...good, ...variant }, envelope, options).args).toEqual([2, 3]);
    }
  });
});
