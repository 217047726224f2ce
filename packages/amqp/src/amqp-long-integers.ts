import type { ChannelModel } from 'amqplib';

/** What is used of the client's inside, as read in version 2.3: it takes the next frame from `rest`, and reads on when that is short. */
interface FrameReader {
  rest: Buffer;
  recvFrame(): unknown;
}

/**
 * Lets the client read headers with the tag `L`, as Python's writes whole numbers beyond 32 bits. It knows `l` only, which is
 * the same; of any other it makes an error of the connection, and the message would come again over the next one, for ever.
 */
export function readLongIntegers({ connection }: ChannelModel): void {
  const reader = connection as unknown as FrameReader;
  const receive = reader.recvFrame.bind(reader);
  reader.recvFrame = () => {
    mendHeaders(reader.rest);
    return receive();
  };
}

const CONTENT_HEADER = 2;
const FRAME_HEADER_BYTES = 7;
/** Class, weight and size of the body; flags follow. */
const FLAGS_AT = FRAME_HEADER_BYTES + 12;
const [HAS_TYPE, HAS_ENCODING, HAS_HEADERS] = [0x8000, 0x4000, 0x2000];

/** Writes `l` for `L` in the table of a content header, if the bytes begin with a whole one. */
export function mendHeaders(bytes: Buffer): void {
  if (bytes[0] !== CONTENT_HEADER || bytes.length < FLAGS_AT + 2) return;
  const end = FRAME_HEADER_BYTES + bytes.readUInt32BE(3);
  const flags = bytes.readUInt16BE(FLAGS_AT);
  if (bytes.length < end || (flags & HAS_HEADERS) === 0) return;
  let at = FLAGS_AT + 2;
  for (const flag of [HAS_TYPE, HAS_ENCODING]) if ((flags & flag) !== 0) at += 1 + (bytes[at] ?? 0);
  const table = bytes.subarray(at, end);
  // In almost all of them there is nothing to do, and that is quick to see.
  if (table.length >= 4 && table.includes('L')) mendTable(table);
}

/** Bytes of the values that have always the same. */
const SIZES: Readonly<Record<string, number>> = {
  t: 1,
  b: 1,
  B: 1,
  s: 2,
  u: 2,
  I: 4,
  i: 4,
  f: 4,
  D: 5,
  l: 8,
  d: 8,
  T: 8,
  V: 0,
};

/** Its own length first. What cannot be followed is left as it is. */
function mendTable(bytes: Buffer): void {
  const end = Math.min(bytes.length, 4 + bytes.readUInt32BE(0));
  let at: number | undefined = 4;
  while (at !== undefined && at < end) at = mendValue(bytes, at + 1 + (bytes[at] ?? 0));
}

function mendArray(bytes: Buffer): void {
  const end = Math.min(bytes.length, 4 + bytes.readUInt32BE(0));
  let at: number | undefined = 4;
  while (at !== undefined && at < end) at = mendValue(bytes, at);
}

/** Where the next one begins. */
function mendValue(bytes: Buffer, at: number): number | undefined {
  const tag = String.fromCharCode(bytes[at] ?? 0);
  if (tag === 'L') {
    bytes.write('l', at);
    return at + 9;
  }
  const size = SIZES[tag];
  if (size !== undefined) return at + 1 + size;
  if (!'SxFA'.includes(tag) || at + 5 > bytes.length) return undefined;
  if (tag === 'F') mendTable(bytes.subarray(at + 1));
  if (tag === 'A') mendArray(bytes.subarray(at + 1));
  return at + 5 + bytes.readUInt32BE(at + 1);
}
