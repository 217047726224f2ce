import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTaskQueueError } from '../../src/errors/errors.js';
import { bodyBytes } from '../../src/message/encoded-message.js';
import { readJson } from '../../src/message/json-reader.js';
import { jsonSerializer } from '../../src/message/json-serializer.js';

const json = jsonSerializer();
const written = (value: unknown): Buffer => bodyBytes(json.encode(value));
const roundTrip = (value: unknown): unknown => json.decode(written(value));

describe('the JSON serializer', () => {
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
      fc.property(tree, (value) => {
        expect(roundTrip(value)).toEqual(value);
        expect(json.decodeText?.(written(value).toString())).toEqual(value);
      }),
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
          bytes = bodyBytes(limited.encode(value));
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
            json.decode(written(value));
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
