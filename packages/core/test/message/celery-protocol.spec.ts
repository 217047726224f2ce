import fc from 'fast-check';
import { bodySize } from '../../src/message/encoded-message.js';
import { describe, expect, it } from 'vitest';
import { decodeBody, encodeTaskMessage, openEnvelope } from '../../src/message/celery-protocol.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { payloadLimits } from '../../src/message/payload-limits.js';
import { SerializerRegistry } from '../../src/message/serializer.js';
import type { TaskMessage } from '../../src/message/task-message.js';
import { isWireName } from '../../src/message/wire-fields.js';

const serializer = jsonSerializer();
const options = { serializers: new SerializerRegistry({ serializers: [serializer] }) };

const message: TaskMessage = {
  lang: 'js',
  id: 'a-1',
  task: 'mail.send',
  args: [1, { to: 'x' }],
  kwargs: { urgent: true },
  shadow: undefined,
  eta: Date.UTC(2030, 0, 2, 3, 4, 5, 60),
  expires: undefined,
  group: undefined,
  groupIndex: undefined,
  retries: 2,
  timeLimitMs: 30_000,
  softTimeLimitMs: 500,
  rootId: 'a-0',
  parentId: 'a-0',
  argsRepr: '(1,)',
  kwargsRepr: '{}',
  origin: 'gen1@host',
  ignoreResult: false,
  replacedTaskNesting: 0,
  stampedHeaders: undefined,
  stamps: {},
  customHeaders: {},
  callbacks: undefined,
  errbacks: undefined,
  chain: undefined,
  chord: undefined,
  replyTo: '',
  correlationId: 'a-1',
  priority: 5,
  deliveryMode: 2,
  expiration: undefined,
};

function roundTrip(sent: TaskMessage, dialect: '5.6' | '5.2' = '5.6'): TaskMessage {
  const encoded = encodeTaskMessage(sent, { serializer, dialect });
  const envelope = openEnvelope(encoded, options);
  return { ...envelope, ...decodeBody(encoded, envelope, options) };
}

describe('our messages', () => {
  it('have all headers in the order of Celery 5.6', () => {
    const { headers, ...rest } = encodeTaskMessage(message, { serializer, dialect: '5.6' });
    expect(JSON.stringify(headers)).toBe(
      '{"lang":"js","task":"mail.send","id":"a-1","shadow":null,"eta":"2030-01-02T03:04:05.060000+00:00","expires":null,' +
        '"group":null,"group_index":null,"retries":2,"timelimit":[30,0.5],"root_id":"a-0","parent_id":"a-0",' +
        '"argsrepr":"(1,)","kwargsrepr":"{}","origin":"gen1@host","ignore_result":false,"replaced_task_nesting":0,' +
        '"stamped_headers":null,"stamps":{}}',
    );
    expect({ ...rest, body: Buffer.from(rest.body).toString() }).toEqual({
      properties: { correlation_id: 'a-1', reply_to: '', delivery_mode: 2, priority: 5 },
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      body: '[[1, {"to": "x"}], {"urgent": true}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]',
    });
  });

  it('leave out in dialect 5.2 what it does not know, unless it says something', () => {
    const keys = (sent: TaskMessage): string[] =>
      Object.keys(encodeTaskMessage(sent, { serializer, dialect: '5.2' }).headers);
    expect(keys(message)).toHaveLength(16);
    expect(keys(message).at(-1)).toBe('ignore_result');
    const stamped = { ...message, stampedHeaders: ['tenant'], stamps: { tenant: 'a' }, replacedTaskNesting: 1 };
    expect(keys(stamped).slice(16)).toEqual(['replaced_task_nesting', 'stamped_headers', 'stamps']);
    expect(roundTrip(stamped, '5.2')).toEqual(stamped);
  });

  it('put custom headers beside the others and compression last', () => {
    const custom = { ...message, args: ['x'.repeat(500)], customHeaders: { 'x-a': 'b', n: [1, { deep: null }] } };
    const encoded = encodeTaskMessage(custom, { serializer, dialect: '5.6', compression: 'zlib' });
    expect(Object.keys(encoded.headers).slice(-3)).toEqual(['x-a', 'n', 'compression']);
    expect(bodySize(encoded.body)).toBeLessThan(200);
    const envelope = openEnvelope(encoded, options);
    expect(decodeBody(encoded, envelope, options).args).toEqual(custom.args);
    expect({ ...envelope.customHeaders }).toEqual(custom.customHeaders);
    expect(Object.getPrototypeOf(envelope.customHeaders)).toBeNull();
  });

  it('do not carry on what a broker noted about an earlier delivery', () => {
    const noted = {
      'x-death': [{}],
      'x-first-death-queue': 'q',
      'x-delivery-count': 3,
      redelivered: true,
      'x-mine': 1,
    };
    expect({ ...roundTrip({ ...message, customHeaders: noted }).customHeaders }).toEqual({ 'x-mine': 1 });
  });

  it('keep the language of a foreign sender', () => {
    expect(roundTrip({ ...message, lang: 'py' }).lang).toBe('py');
  });

  it.each<[string, Partial<TaskMessage>, string]>([
    ['an empty id', { id: '' }, 'id'],
    ['a task with a newline', { task: 'a\nb' }, 'task'],
    ['an eta beyond year 9999', { eta: 8.64e15 }, 'eta'],
    ['an eta that is NaN', { eta: NaN }, 'eta'],
    ['a time limit of Infinity', { timeLimitMs: Infinity }, 'timeLimit'],
    ['a custom header with a reserved name', { customHeaders: { id: 'x' } }, 'headers.id'],
    [
      'a custom header named __proto__',
      { customHeaders: JSON.parse('{"__proto__": 1}') as Record<string, unknown> },
      'headers.__proto__',
    ],
    ['a custom header with a function', { customHeaders: { f: { g: [() => 1] } } }, 'headers.f.g[0]'],
    ['a custom header with a date', { customHeaders: { f: new Date() } }, 'headers.f'],
    ['a custom header with NaN', { customHeaders: { f: NaN } }, 'headers.f'],
    ['a custom header with a bigint', { customHeaders: { f: 1n } }, 'headers.f'],
  ])('refuse %s', (_name, part, field) => {
    expect(() => encodeTaskMessage({ ...message, ...part }, { serializer, dialect: '5.6' })).toThrow(
      expect.objectContaining({ code: 'TASK_OPTIONS_INVALID', fields: expect.objectContaining({ field }) as unknown }),
    );
  });

  it('refuse arguments by path', () => {
    const encode = (part: Partial<TaskMessage>) => () =>
      encodeTaskMessage({ ...message, ...part }, { serializer, dialect: '5.6' });
    const at = (field: string): unknown =>
      expect.objectContaining({
        code: 'VALUE_NOT_SERIALIZABLE',
        fields: expect.objectContaining({ field }) as unknown,
      });
    expect(encode({ args: [{ user: { tags: [1, 2, Symbol('x')] } }] })).toThrow(at('args[0].user.tags[2]'));
    expect(encode({ kwargs: { f: () => 1 } })).toThrow(at('kwargs.f'));
    const signature = { task: 't', args: [NaN], kwargs: {}, options: {}, subtask_type: null, immutable: false };
    expect(encode({ chain: [signature] })).toThrow(at('chain[0].args[0]'));
  });

  it('refuse an unknown compression', () => {
    expect(() => encodeTaskMessage(message, { serializer, dialect: '5.6', compression: 'rar' })).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID' }),
    );
  });
});

describe('limits', () => {
  it('hold for the body before and after decompression', () => {
    const large = { ...message, args: ['x'.repeat(5_000)] };
    const limits = payloadLimits({ maxBytes: 1_000 });
    for (const compression of ['none', 'zlib', 'brotli']) {
      const encoded = encodeTaskMessage(large, { serializer, dialect: '5.6', compression });
      const envelope = openEnvelope(encoded, options);
      expect(() => decodeBody(encoded, envelope, { ...options, limits })).toThrow(
        expect.objectContaining({
          code: 'DECODE_FAILED',
          fields: expect.objectContaining({ limit: 'maxBytes' }) as unknown,
        }),
      );
    }
  });

  it('may be raised', () => {
    const limits = payloadLimits({ maxBytes: 5_000_000 });
    const generous = jsonSerializer({ limits });
    const encoded = encodeTaskMessage(
      { ...message, args: ['x'.repeat(3e6)] },
      { serializer: generous, dialect: '5.6', compression: 'zlib' },
    );
    expect(() => decodeBody(encoded, openEnvelope(encoded, options), options)).toThrow(/maxBytes|allowed/);
    const raised = { serializers: new SerializerRegistry({ serializers: [generous] }), limits };
    expect(decodeBody(encoded, openEnvelope(encoded, raised), raised).args).toEqual(['x'.repeat(3e6)]);
  });
});

describe('properties', () => {
  const name = fc.string({ minLength: 1, maxLength: 50 }).filter(isWireName);
  const key = fc.string().filter((text) => !['__proto__', 'constructor', 'prototype'].includes(text));
  const data = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.string()),
    fc.dictionary(key, fc.integer()),
  );
  const signature = fc.record({
    task: name,
    args: fc.array(data),
    kwargs: fc.dictionary(key, data),
    options: fc.dictionary(key, data),
    subtask_type: fc.option(fc.constant('chain')),
    immutable: fc.boolean(),
  });
  const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.option(arbitrary, { nil: undefined });
  const instant = maybe(fc.integer({ min: -62135596800000, max: 253402300799999 }));
  const limit = maybe(fc.integer({ min: 1, max: 1e9 }));
  const count = fc.nat();
  const messages: fc.Arbitrary<TaskMessage> = fc.record({
    lang: fc.constantFrom('js', 'py'),
    id: name,
    task: name,
    args: fc.array(data),
    kwargs: fc.dictionary(key, data),
    shadow: maybe(fc.string()),
    eta: instant,
    expires: instant,
    group: maybe(name),
    groupIndex: maybe(count),
    retries: count,
    timeLimitMs: limit,
    softTimeLimitMs: limit,
    rootId: name,
    parentId: maybe(name),
    argsRepr: fc.string(),
    kwargsRepr: fc.string(),
    origin: fc.string(),
    ignoreResult: fc.boolean(),
    replacedTaskNesting: count,
    stampedHeaders: maybe(fc.array(fc.string())),
    stamps: fc.dictionary(key, fc.string()),
    customHeaders: fc.dictionary(
      key.map((text) => `x-mine-${text}`),
      data,
    ),
    callbacks: maybe(fc.array(signature)),
    errbacks: maybe(fc.array(signature)),
    chain: maybe(fc.array(signature)),
    chord: maybe(signature),
    replyTo: fc.string(),
    correlationId: fc.string(),
    priority: maybe(fc.nat(9)),
    deliveryMode: fc.constantFrom(1, 2),
    expiration: maybe(fc.nat().map(String)),
  });

  it('a message comes back as it was sent', () => {
    fc.assert(
      fc.property(messages, (sent) => {
        expect(roundTrip(sent)).toEqual(sent);
      }),
      { numRuns: 300 },
    );
  });
});
