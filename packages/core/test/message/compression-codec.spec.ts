import { bodyBytes } from '../../src/message/encoded-message.js';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { COMPRESSION_NAMES, compress, decompress } from '../../src/message/compression-codec.js';
import { wireFixture } from './wire-fixtures.js';

const GZIP = 'application/x-gzip';
const text = Buffer.from('{"a": "'.repeat(500));

describe('compress and decompress', () => {
  it.each(COMPRESSION_NAMES)('%s comes back', (name) => {
    const compressed = compress(text, name);
    expect(compressed?.bytes.byteLength).toBeLessThan(200);
    expect(
      Buffer.from(decompress(compressed?.bytes as Uint8Array, compressed?.mediaType as string, { maxBytes: 1e6 })),
    ).toEqual(text);
  });

  it('has the names of Celery that this Node has', () => {
    expect(COMPRESSION_NAMES).toEqual(expect.arrayContaining(['zlib', 'gzip', 'brotli']));
  });

  it('calls a zlib stream gzip, as Celery does, and reads a real gzip file too', () => {
    const compressed = compress(text, 'gzip');
    expect(compressed?.mediaType).toBe(GZIP);
    expect(
      Buffer.from(compressed?.bytes as Uint8Array)
        .subarray(0, 2)
        .toString('hex'),
    ).toBe('789c');
    expect(Buffer.from(decompress(gzipSync(text), GZIP, { maxBytes: 1e6 }))).toEqual(text);
    const { body } = wireFixture('redis/task_compression_gzip').encoded;
    expect(Buffer.from(decompress(bodyBytes(body), GZIP, { maxBytes: 1e6 })).toString()).toMatch(/^\[\["x+"\]/);
  });

  it('does not compress when told so, nor what receivers would refuse', () => {
    expect(compress(text, 'none')).toBeUndefined();
    expect(compress(Buffer.alloc(5_000_000), 'brotli')).toBeUndefined();
    expect(() => compress(text, 'toString')).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID' }));
  });

  it.each([
    ['zlib, absolute', deflateSync(Buffer.alloc(300_000_000)), GZIP, { maxBytes: 1_048_576 }],
    [
      'brotli, absolute',
      brotliCompressSync(Buffer.alloc(100_000_000)),
      'application/x-brotli',
      { maxBytes: 1_048_576 },
    ],
    ['zlib, by ratio', deflateSync(Buffer.alloc(20_000_000)), GZIP, { maxBytes: 1e9 }],
    ['brotli, by ratio', brotliCompressSync(Buffer.alloc(50_000_000)), 'application/x-brotli', { maxBytes: 1e9 }],
    ['by its own ratio', deflateSync(Buffer.alloc(2_000_000)), GZIP, { maxBytes: 1e9, maxRatio: 2 }],
  ])('rejects a bomb: %s', (_name, bomb, mediaType, limits) => {
    const started = performance.now();
    expect(() => decompress(bomb, mediaType, limits)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }));
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('takes exactly as much as is allowed', () => {
    const bytes = deflateSync(Buffer.alloc(1_000));
    expect(decompress(bytes, GZIP, { maxBytes: 1_000 }).byteLength).toBe(1_000);
    expect(() => decompress(bytes, GZIP, { maxBytes: 999 })).toThrow(/expands to more than the 999 allowed/);
  });

  it.each([['application/x-bz2'], ['application/x-lzma'], ['constructor'], ['gzip'], ['']])(
    'does not accept %s',
    (mediaType) => {
      expect(() => decompress(text, mediaType, { maxBytes: 1e6 })).toThrow(
        expect.objectContaining({ code: 'CONTENT_NOT_ACCEPTED' }),
      );
    },
  );

  it.each([[GZIP], ['application/x-brotli']])('refuses damaged %s', (mediaType) => {
    expect(() => decompress(text, mediaType, { maxBytes: 1e6 })).toThrow(`The body is not valid ${mediaType} data.`);
  });
});
