import { describe, expect, it } from 'vitest';
import { mendHeaders } from '../src/amqp-long-integers.js';

const sized = (bytes: Buffer) => Buffer.concat([uint32(bytes.length), bytes]);
const short = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
const value = (tag: string, ...bytes: readonly Buffer[]) => Buffer.concat([Buffer.from(tag), ...bytes]);
const table = (...fields: readonly Buffer[]) => sized(Buffer.concat(fields));
const field = (name: string, one: Buffer) => Buffer.concat([short(name), one]);

function uint32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

/** As the broker sends it: with type, encoding and headers. */
function frame(headers: Buffer): Buffer {
  const flags = Buffer.of(0xe0, 0);
  const content = Buffer.concat([Buffer.alloc(12), flags, short('application/L'), short('utf-8'), headers]);
  return Buffer.concat([Buffer.of(2, 0, 1), sized(content), Buffer.of(0xce)]);
}

/** One field of each kind that stands before, and holds the letter where it is none. */
function headers(tag: 'l' | 'L'): Buffer {
  const long = value(tag, Buffer.from('LLLLLLLL'));
  return table(
    field('L', value('S', sized(Buffer.from('LL')))),
    field('i', value('I', Buffer.from('LLLL'))),
    field('b', value('t', Buffer.of(1))),
    field('none', value('V')),
    field('list', value('A', sized(Buffer.concat([long, value('d', Buffer.from('LLLLLLLL')), long])))),
    field('table', value('F', table(field('LL', long)))),
    field('after', long),
  );
}

describe('whole numbers of 64 bits from Python', () => {
  it('get the tag that the client knows, wherever they are, and nothing else is touched', () => {
    const bytes = frame(headers('L'));
    mendHeaders(bytes);
    expect(bytes).toEqual(frame(headers('l')));
  });

  it('wait until their frame is whole', () => {
    const bytes = frame(headers('L')).subarray(0, -8);
    mendHeaders(bytes);
    expect(bytes).toEqual(frame(headers('L')).subarray(0, -8));
  });

  it('are not looked for in other frames, and what cannot be followed is left', () => {
    for (const bytes of [
      Buffer.from([1, ...frame(headers('L')).subarray(1)]),
      frame(table(field('odd', value('?', Buffer.from('LLL'))))),
      frame(Buffer.from('L')),
      frame(table(field('cut', value('S', uint32(9_999)))).subarray(0, -2)),
      Buffer.alloc(0),
    ]) {
      const before = Buffer.from(bytes);
      mendHeaders(bytes);
      expect(bytes).toEqual(before);
    }
  });
});
