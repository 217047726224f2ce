import { describe, expect, it } from 'vitest';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { refusal } from './refusal.js';

const json = jsonSerializer();
const text = (value: unknown, serializer = json): string => Buffer.from(serializer.encode(value)).toString();

describe('writing', () => {
  it('is the text Python writes', () => {
    expect(text([1, 'a"\\\n\u0001é😀\u2028\u007f', null, true, { k: { l: [] } }])).toBe(
      '[1, "a\\"\\\\\\n\\u0001\\u00e9\\ud83d\\ude00\\u2028\\u007f", null, true, {"k": {"l": []}}]',
    );
    expect(text([-0, 1e300, 0.1, 2 ** 53, 2 ** 60])).toBe(
      '[-0.0, 1e+300, 0.1, 9.007199254740992e+15, 1.152921504606847e+18]',
    );
    expect(text([2n ** 64n, 5n])).toBe('[18446744073709551616, 5]');
    expect(text(undefined)).toBe('null');
    expect(text([undefined, { gone: undefined, left: 1 }])).toBe('[null, {"left": 1}]');
    expect(text('\ud800')).toBe('"\\ud800"');
  });

  it('tags dates and bytes in dialect 5.6', () => {
    expect(text(new Date(Date.UTC(2024, 0, 1)))).toBe(
      '{"__type__": "datetime", "__value__": "2024-01-01T00:00:00+00:00"}',
    );
    expect(text(new Date(Date.UTC(2024, 0, 1, 0, 0, 0, 7)))).toBe(
      '{"__type__": "datetime", "__value__": "2024-01-01T00:00:00.007000+00:00"}',
    );
    expect(text(Buffer.from('é'))).toBe('{"__type__": "bytes", "__value__": "\\u00e9"}');
    expect(text(new Uint8Array([255, 0]))).toBe('{"__type__": "base64", "__value__": "/wA="}');
  });

  it('writes plain dates and refuses bytes in dialect 5.2', () => {
    const old = jsonSerializer({ dialect: '5.2' });
    expect(text([new Date(Date.UTC(2030, 0, 2, 3, 4, 5, 678))], old)).toBe('["2030-01-02T03:04:05.678000Z"]');
    expect(refusal(() => old.encode([new Uint8Array(1)])).fields).toEqual({ field: 'value[0]', type: 'Uint8Array' });
  });

  it('reduces what has a plain form', () => {
    class User {
      readonly name = 'x';
      method(): void {}
    }
    class Money {
      toJSON(): unknown {
        return { cents: 5 };
      }
    }
    class Loop {
      readonly a = 1;
      toJSON(): unknown {
        return this;
      }
    }
    expect(text([new User(), new Money(), new Loop(), new URL('https://a.b/c')])).toBe(
      '[{"name": "x"}, {"cents": 5}, {"a": 1}, "https://a.b/c"]',
    );
    expect(text([new Map([['a', new Set([1, 2])]]), new Map(), Object.create(null)])).toBe('[{"a": [1, 2]}, {}, {}]');
  });

  const sparse: unknown[] = [];
  sparse.length = 4e9;
  const cyclic: Record<string, unknown> = { user: { tags: [1, 2] } };
  (cyclic['user'] as Record<string, unknown>)['self'] = cyclic['user'];
  const deep = (depth: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < depth; level += 1) value = [value];
    return value;
  };
  const endless = (): unknown => ({ toJSON: endless });
  const cases: [name: string, value: unknown, field: string, says: RegExp][] = [
    ['function', [{ user: { tags: [1, 2, () => 1] } }], 'args[0].user.tags[2]', /function/],
    ['symbol', [{ 'odd key': Symbol('x') }], 'args[0]["odd key"]', /symbol/],
    ['NaN', [NaN], 'args[0]', /NaN/],
    ['Infinity', [{ a: Infinity }], 'args[0].a', /Infinity/],
    ['cycle', [cyclic], 'args[0].user.self', /refers to itself/],
    ['cyclic set', [[1, cyclicSet()]], 'args[0][1][0]', /refers to itself/],
    ['depth 20 000', [deep(20_000)], `args${'[0]'.repeat(65)}`.slice(0, 200), /nested more than 100 deep/],
    [
      'throwing toJSON',
      [
        {
          a: {
            toJSON: () => {
              throw new Error('no');
            },
          },
        },
      ],
      'args[0].a',
      /threw/,
    ],
    ['endless toJSON', [{ a: { toJSON: endless } }], 'args[0].a', /nested more than 100/],
    [
      'throwing getter',
      [
        {
          get a() {
            throw new Error('no');
          },
        },
      ],
      'args[0].a',
      /threw/,
    ],
    [
      'throwing proxy',
      [
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('no');
            },
          },
        ),
      ],
      'args[0]',
      /threw/,
    ],
    ['revoked proxy', [revokedProxy()], 'args[0]', /threw/],
    ['Error', [new TypeError('secret')], 'args[0]', /is an Error/],
    ['Promise', [Promise.resolve(1)], 'args[0]', /is a promise/],
    ['RegExp', [/x/], 'args[0]', /RegExp/],
    ['Float64Array', [new Float64Array(1)], 'args[0]', /buffer/],
    ['invalid date', [new Date(NaN)], 'args[0]', /not a date/],
    ['date in the year 275760', [new Date(8.64e15)], 'args[0]', /not a date/],
    ['Map with number keys', [new Map([[1, 2]])], 'args[0]', /key of type number/],
    ['Map with an undefined key', [new Map([[undefined, 2]])], 'args[0]', /key of type undefined/],
    ['__proto__', [JSON.parse('{"__proto__": {"polluted": 1}}')], 'args[0].__proto__', /no message may hold/],
    ['constructor', [{ constructor: 1 }], 'args[0].constructor', /no message may hold/],
    ['what looks like a tag', [{ __type__: 'os', __value__: 1 }], 'args[0]', /mark tagged values/],
    ['50 MB of text', ['x'.repeat(50_000_000)], 'args[0]', /more than 1048576 bytes/],
    ['too many elements', [Array.from({ length: 1e6 }, () => 1)], 'args[0]', /more than 1048576 bytes/],
    ['too large a sparse array', [sparse], 'args[0]', /more than 1048576 bytes/],
    [
      'too many keys',
      [Object.fromEntries(Array.from({ length: 10_001 }, (_, key) => [`k${key}`, 1]))],
      'args[0].k9998',
      /more than 10000/,
    ],
    ['large bytes', [new Uint8Array(5e6)], 'args[0]', /more than 1048576 bytes/],
    ['huge bigint', [2n ** 100_000n], 'args[0]', /more than 4300 digits/],
    ['boxed number', [Object(1)], 'args[0]', /in a box/],
    ['WeakMap', [new WeakMap()], 'args[0]', /cannot be listed/],
  ];

  it.each(cases)('refuses %s by path', (name, value, field, says) => {
    const started = performance.now();
    const { code, message, fields } = refusal(() => json.encode([value, {}, {}], ['args', 'kwargs', '']));
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(code).toBe('VALUE_NOT_SERIALIZABLE');
    expect(message).toMatch(says);
    expect(message).not.toContain('secret');
    if (name.startsWith('depth')) expect(fields['field']).toMatch(/^args(\[0\])+/);
    else if (name.startsWith('too')) expect(fields['field']).toMatch(/^args\[0\]/);
    else expect(fields['field']).toBe(field);
  });

  it('names the parts of a body', () => {
    const field = (value: unknown): unknown =>
      refusal(() => json.encode(value, ['args', 'kwargs', ''])).fields['field'];
    expect(field([[], { to: () => 1 }, {}])).toBe('kwargs.to');
    expect(field([[], {}, { callbacks: [{ args: [NaN] }] }])).toBe('callbacks[0].args[0]');
    expect(refusal(() => json.encode({ a: NaN }, 'result')).fields['field']).toBe('result.a');
    expect(refusal(() => json.encode(NaN)).fields['field']).toBe('value');
  });

  it('keeps an exponential graph within the limits', () => {
    let graph: unknown = {};
    for (let level = 0; level < 60; level += 1) graph = { a: graph, b: graph };
    const started = performance.now();
    expect(refusal(() => json.encode(graph)).message).toMatch(/more than 10000/);
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

function cyclicSet(): unknown {
  const set = new Set<unknown>();
  set.add(set);
  return set;
}

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
