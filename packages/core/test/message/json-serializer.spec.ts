import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTaskQueueError } from '../../src/errors/errors.js';
import { readJson } from '../../src/message/json-reader.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { payloadLimits } from '../../src/message/payload-limits.js';

const json = jsonSerializer();
const text = (value: unknown, serializer = json): string => Buffer.from(serializer.encode(value)).toString();
const parse = (source: string, serializer = json): unknown => serializer.decode(Buffer.from(source));
const roundTrip = (value: unknown): unknown => json.decode(json.encode(value));

function refusal(work: () => unknown): { code: string; message: string; fields: Record<string, unknown> } {
  try {
    work();
  } catch (error) {
    if (isTaskQueueError(error)) return { code: error.code, message: error.message, fields: { ...error.fields } };
    throw error;
  }
  throw new Error('was not refused');
}

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
    ['cyclic set', [[...[1], cyclicSet()]], 'args[0][1][0]', /refers to itself/],
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
    ['too large a sparse array', [new Array(4e9)], 'args[0]', /more than 1048576 bytes/],
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
    expect(performance.now() - started).toBeLessThan(1_000);
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
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('reading', () => {
  it('revives tags', () => {
    expect(parse('{"__type__": "datetime", "__value__": "2024-01-01T00:00:00+00:00"}')).toEqual(
      new Date(Date.UTC(2024, 0, 1)),
    );
    expect(parse('{"__type__": "datetime", "__value__": "2024-01-01T00:00:00.123456"}')).toEqual(
      new Date(Date.UTC(2024, 0, 1, 0, 0, 0, 123)),
    );
    expect(parse('{"__type__": "bytes", "__value__": "\\u00e9"}')).toEqual(new Uint8Array([0xc3, 0xa9]));
    expect(parse('{"__type__": "base64", "__value__": "/wA="}')).toEqual(new Uint8Array([255, 0]));
    expect(parse('{"__type__": "decimal", "__value__": "1.10"}')).toBe('1.10');
    expect(parse('{"__type__": "date", "__value__": "2024-01-01"}')).toBe('2024-01-01');
    expect(parse('{"__type__": "time", "__value__": "10:30:00"}')).toBe('10:30:00');
    expect(parse('{"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000005"}}')).toBe(
      '00000000-0000-0000-0000-000000000005',
    );
    expect(parse('{"\\u005f_type__": "decimal", "__value__": "1"}')).toBe('1');
    expect(parse('{"__type__": "decimal", "__value__": "1", "more": 1}')).toEqual({
      __type__: 'decimal',
      __value__: '1',
      more: 1,
    });
  });

  it.each([
    ['{"__type__": "os.system", "__value__": "rm"}'],
    ['{"__type__": "constructor", "__value__": 1}'],
    ['{"__type__": "toString", "__value__": 1}'],
    ['{"__type__": 5, "__value__": 1}'],
    ['{"__type__": "datetime", "__value__": "soon"}'],
    ['{"__type__": "datetime", "__value__": "2024-02-30T00:00:00"}'],
    ['{"__type__": "base64", "__value__": "***"}'],
    ['{"__type__": "uuid", "__value__": {"hex": "zz"}}'],
    ['{"__type__": "bytes", "__value__": null}'],
    ['{"__proto__": {"polluted": true}}'],
    ['{"\\u005f_proto__": {"polluted": true}}'],
    ['{"a": [{"\\u0063onstructor": 1}]}'],
    ['{"prototype": 1}'],
    ['[1,]'],
    ['[1 2]'],
    ['{"a" 1}'],
    ['{"a": 1,}'],
    ["{'a': 1}"],
    ['[01]'],
    ['[1.]'],
    ['[+1]'],
    ['[-NaN]'],
    ['["\n"]'],
    ['["\\x"]'],
    ['["open'],
    ['tru'],
    [''],
    ['1 1'],
    [`[${'9'.repeat(5_000)}]`],
  ])('refuses %s', (source) => {
    expect(refusal(() => parse(source)).code).toBe('DECODE_FAILED');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('never quotes the body', () => {
    expect(refusal(() => parse('[hunter2]')).message).toBe('The body is not valid JSON at position 1.');
  });

  it('reads the numbers Python writes', () => {
    expect(
      parse('[NaN, Infinity, -Infinity, 9007199254740993, -9223372036854775808, 9007199254740991, 1e400]'),
    ).toEqual([NaN, Infinity, -Infinity, 9007199254740993n, -9223372036854775808n, 9007199254740991, Infinity]);
    expect(parse('[12345678901234567890.5, 0.12345678901234567, 1234567890123456e2]')).toEqual([
      12345678901234567890.5, 0.12345678901234567, 123456789012345600,
    ]);
    expect(parse('["1234567890123456789", {"a": 1234567890123456789}]')).toEqual([
      '1234567890123456789',
      { a: 1234567890123456789n },
    ]);
  });

  it('refuses what is not UTF-8, and takes the replacement character that was sent', () => {
    expect(refusal(() => json.decode(new Uint8Array([0x22, 0xff, 0x22]))).code).toBe('DECODE_FAILED');
    expect(parse('"\uFFFD"')).toBe('\uFFFD');
  });

  it('applies the limits before it parses', () => {
    const limited = jsonSerializer({ limits: { maxBytes: 1_000, maxDepth: 5, maxKeys: 10 } });
    const limit = (source: string): unknown => refusal(() => parse(source, limited)).fields['limit'];
    expect(limit(`"${'x'.repeat(1_000)}"`)).toBe('maxBytes');
    expect(limit('[[[[[[')).toBe('maxDepth');
    expect(parse('[[[[[1]]]]]', limited)).toEqual([[[[[1]]]]]);
    expect(limit(`{${Array.from({ length: 11 }, (_, key) => `"${key}":0`).join(',')}}`)).toBe('maxKeys');
    expect(parse(`["${'[{:'.repeat(50)}", "\\"[[[[[[["]`, limited)).toHaveLength(2);
    expect(() => jsonSerializer({ limits: { maxDepth: 5_000 } })).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID' }),
    );
    expect(json.decode(Buffer.from('[[1]]'), payloadLimits())).toEqual([[1]]);
    expect(() => json.decode(Buffer.from('[[[1]]]'), { ...payloadLimits(), maxDepth: 2 })).toThrow(/maxDepth/);
  });

  it.each([
    ['100 MB', `"${'x'.repeat(1e8)}"`],
    ['depth 500 000', '['.repeat(500_000)],
    ['100 000 keys', `{${'"a":0,'.repeat(100_000)}"b":1}`],
    ['a megabyte of digits', '9'.repeat(1_000_000)],
    ['a megabyte of backslashes', `"${'\\'.repeat(1_000_000)}"`],
    ['a megabyte of spaces', ' '.repeat(1_000_000)],
    ['a megabyte of empty lists', `[${'[],'.repeat(300_000)}[]]`],
    ['a megabyte of tags', `[${'{"__type__":"time","__value__":""},'.repeat(4_000)}0]`],
  ])('handles %s within 200 ms', (_name, source) => {
    const bytes = Buffer.from(source);
    const started = performance.now();
    try {
      json.decode(bytes);
    } catch (error) {
      expect(isTaskQueueError(error, 'DECODE_FAILED')).toBe(true);
    }
    expect(performance.now() - started).toBeLessThan(200);
  });
});

describe('properties', () => {
  const key = fc.string().filter((candidate) => !['__proto__', 'constructor', 'prototype'].includes(candidate));
  const leaf = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt().filter((value) => value > 2n ** 53n || value < -(2n ** 53n)),
    fc.date({ min: new Date(-62135596800000), max: new Date(253402300799999), noInvalidDate: true }),
    fc.uint8Array(),
  );
  const tree = fc.letrec((tie) => ({
    node: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('node')), fc.dictionary(key, tie('node'))),
  })).node;

  it('what is written is read again', () => {
    fc.assert(
      fc.property(tree, (value) => expect(roundTrip(value)).toEqual(value)),
      { numRuns: 500 },
    );
  });

  it('what is written within the limits is read within them', () => {
    const limits = { maxBytes: 400, maxDepth: 4, maxKeys: 8 };
    const limited = jsonSerializer({ limits });
    fc.assert(
      fc.property(tree, (value) => {
        let bytes: Uint8Array;
        try {
          bytes = limited.encode(value);
        } catch (error) {
          expect(isTaskQueueError(error, 'VALUE_NOT_SERIALIZABLE')).toBe(true);
          return;
        }
        expect(bytes.byteLength).toBeLessThanOrEqual(limits.maxBytes);
        expect(limited.decode(bytes)).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it('anything at all is written or refused', () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withTypedArray: true,
          withSparseArray: true,
          withNullPrototype: true,
          withBoxedValues: true,
        }),
        (value) => {
          try {
            json.decode(json.encode(value));
          } catch (error) {
            expect(isTaskQueueError(error, 'VALUE_NOT_SERIALIZABLE')).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('the exact reader reads what JSON.parse reads, and refuses what it refuses', () => {
    const mutated = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', ',', ']', '}', '"', '1', '0', '-', '.', 'e', ' ', '\\', '{', ':', 'u'),
      )
      .map(
        ([source, at, character]) =>
          source.slice(0, at % (source.length + 1)) + character + source.slice(at % (source.length + 1)),
      );
    fc.assert(
      fc.property(fc.oneof(fc.json(), mutated), (source) => {
        let expected: unknown;
        let valid = true;
        try {
          expected = JSON.parse(source);
        } catch {
          valid = false;
        }
        if (/__proto__|constructor|prototype|__type__|\d{16}/.test(source)) return;
        if (valid) expect(readJson(source)).toEqual(expected);
        else expect(() => readJson(source)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }));
      }),
      { numRuns: 2_000 },
    );
  });

  it('hostile bytes are refused, never more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          json.decode(bytes);
        } catch (error) {
          expect(isTaskQueueError(error, 'DECODE_FAILED')).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
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
