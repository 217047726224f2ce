import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pythonRepr } from '../../src/message/python-repr.js';

const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);
const cyclic: unknown[] = [];
cyclic.push(cyclic);

/** They throw when all that they hold has been read. */
class BrokenMap extends Map<unknown, unknown> {
  override *[Symbol.iterator](): MapIterator<[unknown, unknown]> {
    yield* this.entries();
    throw new Error('x');
  }
}
class BrokenSet extends Set<unknown> {
  override *[Symbol.iterator](): SetIterator<unknown> {
    yield* this.values();
    throw new Error('x');
  }
}

describe('pythonRepr', () => {
  const shown: [value: unknown, text: string][] = [
    [[2, 3], '[2, 3]'],
    [{ k: 'v' }, "{'k': 'v'}"],
    [[null, undefined, true, false], '[None, None, True, False]'],
    ["it's", "'it\\'s'"],
    ['a"b', "'a\"b'"],
    ['line\nbreak\0\u2028é\\', "'line\\nbreak\\x00\\u2028é\\\\'"],
    [[1.5, -0, NaN, Infinity, -Infinity, 10n], '[1.5, -0.0, nan, inf, -inf, 10]'],
    [new Date(0), '<datetime 1970-01-01T00:00:00+00:00>'],
    [new Date(NaN), '<invalid date>'],
    [new Uint8Array([97, 0, 255]), "b'a\\x00\\xff'"],
    [
      new Map<unknown, unknown>([
        [1, new Set([2])],
        ['a', new Set()],
      ]),
      "{1: {2}, 'a': set()}",
    ],
    [new TypeError('x'), "TypeError('x')"],
    [new URL('http://a.b/'), "'http://a.b/'"],
    [Symbol('x'), 'Symbol(x)'],
    [deep(5), '[[[[...]]]]'],
    [{ a: { b: { c: { d: 1 } } } }, "{'a': {'b': {'c': {...}}}}"],
    [cyclic, '[[[[...]]]]'],
    [
      {
        get a() {
          throw new Error('x');
        },
      },
      '{<unrepresentable>}',
    ],
    [[new BrokenMap([['a', 1]]), [[[1]]]], "[{'a': 1<unrepresentable>}, [[[...]]]]"],
    [[new BrokenSet([1]), [[[1]]]], '[{1<unrepresentable>}, [[[...]]]]'],
    [
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error('x');
          },
        },
      ),
      '<unrepresentable>',
    ],
  ];

  // Values are looked up: vitest would read the properties of those in the table.
  it.each(shown.map(([, text], index) => [text, index] as const))('%s', (text, index) => {
    expect(pythonRepr(shown[index]?.[0])).toBe(text);
  });

  it('shows the outermost array as a tuple when asked', () => {
    expect(pythonRepr([2, [3]], { tuple: true })).toBe('(2, [3])');
    expect(pythonRepr(['a'], { tuple: true })).toBe("('a',)");
    expect(pythonRepr([], { tuple: true })).toBe('()');
    expect(pythonRepr({}, { tuple: true })).toBe('{}');
  });

  it('stops at the limit and closes what is open', () => {
    expect(
      pythonRepr(
        Array.from({ length: 100 }, (_, index) => index),
        { maxLength: 40 },
      ),
    ).toBe('[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]');
    expect(pythonRepr([['x'.repeat(100)]], { maxLength: 30 })).toBe(
      `[['${'x'.repeat(16)}...', ...]]`.replace(', ...', ''),
    );
  });

  const large: [name: string, make: () => unknown][] = [
    ['50 MB of text', () => 'x'.repeat(5e7)],
    ['quotes only', () => "'".repeat(5e6)],
    ['a million elements', () => Array.from({ length: 1e6 }, () => 'abc')],
    ['a million sets', () => new Set(Array.from({ length: 1e6 }, (_, index) => index))],
    ['50 MB of bytes', () => new Uint8Array(5e7)],
    ['a huge integer', () => 2n ** 1_000_000n],
    ['depth 100 000', () => JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))],
    [
      'long keys',
      () => Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${index}${'k'.repeat(10_000)}`, 1])),
    ],
    ['wide nesting', () => Array.from({ length: 1_000 }, () => Array.from({ length: 1_000 }, () => [1]))],
  ];

  it.each(large)('is quick and bounded for %s', (_name, make) => {
    const value = make();
    // The quickest of some, because the machine may be busy with something else.
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now();
      expect(pythonRepr(value).length).toBeLessThanOrEqual(1_024);
      return performance.now() - started;
    });
    expect(Math.min(...times)).toBeLessThan(50);
  });

  it('never throws and keeps its limit', () => {
    const options = {
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
      withBoxedValues: true,
    };
    fc.assert(
      fc.property(fc.anything(options), fc.integer({ min: 0, max: 200 }), (value, maxLength) => {
        expect(pythonRepr(value, { maxLength }).length).toBeLessThanOrEqual(maxLength);
      }),
      { numRuns: 500 },
    );
  });
});
