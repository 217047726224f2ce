import { describe, expect, it } from 'vitest';
import { validateSettings } from '../../src/config/validate-settings.js';
import { msgpackSerializer, yamlSerializer } from '../../src/message/foreign-serializers.js';
import { serializersFrom } from '../../src/message/wire-format.js';

/** A library that reads whatever it is told to. */
const reading = (value: unknown) =>
  msgpackSerializer({ encode: (one) => Buffer.from(JSON.stringify(one)), decode: () => value });

const limits = { maxBytes: 100, maxDepth: 3, maxKeys: 4 };
const refused = (reason: RegExp) =>
  expect.objectContaining({ code: 'DECODE_FAILED', message: expect.stringMatching(reason) }) as Error;

describe('serializers by libraries of the application', () => {
  it('are accepted where they are set, and only there', () => {
    const yaml = yamlSerializer({ parse: (text) => text, stringify: String });
    const set = serializersFrom(validateSettings({ serializers: [reading(1), yaml] }));
    expect(set.accepted).toEqual(['application/json', 'application/x-msgpack', 'application/x-yaml']);
    expect(serializersFrom(validateSettings({})).accepted).toEqual(['application/json']);
  });

  it('write what JSON would', () => {
    const bytes = reading(0).encode({ at: new Date(0), none: undefined, set: new Set([1]) }) as Uint8Array;
    expect(JSON.parse(Buffer.from(bytes).toString())).toEqual({ at: '1970-01-01T00:00:00Z', set: [1] });
    expect(() => reading(0).encode([() => 1])).toThrow(
      expect.objectContaining({ code: 'VALUE_NOT_SERIALIZABLE' }) as Error,
    );
  });

  it('read no more than the limits allow', () => {
    const empty = new Uint8Array();
    expect(() => reading(0).decode(new Uint8Array(101), limits)).toThrow(refused(/maxBytes/));
    expect(() => reading([[[[]]]]).decode(empty, limits)).toThrow(refused(/maxDepth/));
    const one = { a: 1, b: 2 };
    // One value named many times, as YAML's aliases do it.
    expect(() => reading([one, one, one]).decode(empty, limits)).toThrow(refused(/maxKeys/));
    expect(reading([one]).decode(empty, limits)).toEqual([one]);
  });

  it('read plain data only', () => {
    const forbidden = JSON.parse('{"__proto__": 1}') as unknown;
    expect(() => reading(forbidden).decode(new Uint8Array())).toThrow(refused(/__proto__/));
    expect(() => reading(new Map()).decode(new Uint8Array())).toThrow(refused(/more than data/));
  });

  it('are never pickle', () => {
    const pickle = { ...reading(0), name: 'pickle' };
    expect(() => validateSettings({ serializers: [pickle] })).toThrow(/never pickle/);
    const disguised = { ...reading(0), contentType: 'application/x-python-serialize' };
    expect(() => validateSettings({ serializers: [disguised] })).toThrow(/never pickle/);
  });
});
