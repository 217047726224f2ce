import * as zlib from 'node:zlib';
import { ConfigurationError, MessageError, showValue } from '../errors/errors.js';
import { undecodable } from './undecodable.js';

/** What to expand to at most. */
export interface ExpansionLimits {
  /** Bytes after decompression. */
  readonly maxBytes: number;
  /** Expanded size over compressed size, judged on what expands to more than 1 MiB. Default 250. */
  readonly maxRatio?: number;
}

export const DEFAULT_MAX_EXPANSION_RATIO = 250;

/** Repetitive data may expand much further than the ratio as long as it stays this small. */
const RATIO_FREE_BYTES = 1_048_576;

/** One coding of a body. Celery's header `compression` holds the media type. */
interface Coding {
  readonly mediaType: string;
  readonly names: readonly string[];
  /** Absent where this version of Node does not have it. */
  readonly compress?: (bytes: Uint8Array) => Uint8Array;
  readonly expand?: (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;
}

type Zstd = Partial<{
  zstdCompressSync(bytes: Uint8Array): Uint8Array;
  zstdDecompressSync(bytes: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array;
}>;

const { zstdCompressSync, zstdDecompressSync } = zlib as Zstd;

/** Celery's `gzip` is a zlib stream, whatever the media type says; a real gzip file is read too. */
const CODINGS: readonly Coding[] = [
  {
    mediaType: 'application/x-gzip',
    names: ['zlib', 'gzip'],
    compress: (bytes) => zlib.deflateSync(bytes),
    expand: (bytes, options) => zlib.unzipSync(bytes, options),
  },
  {
    mediaType: 'application/x-brotli',
    names: ['brotli'],
    compress: (bytes) => zlib.brotliCompressSync(bytes),
    expand: (bytes, options) => zlib.brotliDecompressSync(bytes, options),
  },
  {
    mediaType: 'application/zstd',
    names: ['zstd', 'zstandard'],
    ...(zstdCompressSync === undefined ? {} : { compress: zstdCompressSync }),
    ...(zstdDecompressSync === undefined ? {} : { expand: zstdDecompressSync }),
  },
];

/** Names that can be given as `compression` in this version of Node, besides `none`. */
export const COMPRESSION_NAMES: readonly string[] = CODINGS.filter(({ compress }) => compress !== undefined).flatMap(
  ({ names }) => names,
);

/** A compressed body and the value of the header `compression`; undefined: it stays as it is. */
export type Compressed = { readonly bytes: Uint8Array; readonly mediaType: string } | undefined;

/**
 * Compresses by Celery's name of the coding (`zlib`, `gzip`, `brotli`, `zstd`, `none`). What would expand further than
 * receivers allow stays uncompressed. Throws ConfigurationError for an unknown name.
 */
export function compress(bytes: Uint8Array, name: string): Compressed {
  if (name === 'none') return undefined;
  const coding = CODINGS.find(({ names }) => names.includes(name));
  if (coding?.compress === undefined) {
    const expected = `one of none, ${COMPRESSION_NAMES.join(', ')}`;
    throw new ConfigurationError([{ path: 'compression', expected, value: name }]);
  }
  const compressed = coding.compress(bytes);
  const allowed = greatestExpansion(compressed.byteLength, { maxBytes: Infinity });
  return bytes.byteLength > allowed ? undefined : { bytes: compressed, mediaType: coding.mediaType };
}

/**
 * The bytes again, at most as many as allowed: stops while expanding. Throws CONTENT_NOT_ACCEPTED for a coding this
 * process does not have, DECODE_FAILED for damaged data and for data that expands too far.
 */
export function decompress(bytes: Uint8Array, mediaType: string, limits: ExpansionLimits): Uint8Array {
  const coding = CODINGS.find((candidate) => candidate.mediaType === mediaType);
  if (coding?.expand === undefined) throw notAccepted(mediaType);
  const maxOutputLength = greatestExpansion(bytes.byteLength, limits);
  try {
    return coding.expand(bytes, { maxOutputLength });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') {
      const what = `The body of ${bytes.byteLength} bytes expands to more than the ${maxOutputLength} allowed.`;
      throw undecodable(what, { limit: 'maxBytes', mediaType });
    }
    throw undecodable(`The body is not valid ${mediaType} data.`, { mediaType });
  }
}

function greatestExpansion(compressedBytes: number, limits: ExpansionLimits): number {
  const ratio = limits.maxRatio ?? DEFAULT_MAX_EXPANSION_RATIO;
  return Math.max(1, Math.min(limits.maxBytes, Math.max(RATIO_FREE_BYTES, compressedBytes * ratio)));
}

function notAccepted(mediaType: string): MessageError {
  const accepted = CODINGS.filter(({ expand }) => expand !== undefined).map((coding) => coding.mediaType);
  return new MessageError({
    code: 'CONTENT_NOT_ACCEPTED',
    message: `Compression ${showValue(mediaType)} is not supported; supported: ${accepted.join(', ')}.`,
    remedy: 'Let the sender compress with zlib, or not at all.',
    fields: { compression: mediaType, accepted },
  });
}
