import { describe, expect, it } from 'vitest';
import { isTaskQueueError } from '../../src/errors/errors.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';
import { payloadLimits } from '../../src/message/payload-limits.js';
import { refusal } from './refusal.js';

const json = jsonSerializer();
const parse = (source: string, serializer = json): unknown => serializer.decode(Buffer.from(source));

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
      12345678901234567000, 0.12345678901234566, 123456789012345600,
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
    expect(limit('[[[[[[1]]]]]]')).toBe('maxDepth');
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
  ])('handles %s in no time that grows with its square', (_name, source) => {
    const bytes = Buffer.from(source);
    const started = performance.now();
    try {
      json.decode(bytes);
    } catch (error) {
      expect(isTaskQueueError(error, 'DECODE_FAILED')).toBe(true);
    }
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
