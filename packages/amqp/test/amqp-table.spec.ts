import { describe, expect, it } from 'vitest';
import { publishOptions } from '../src/amqp-message.js';
import { amqpTable } from '../src/amqp-table.js';

const int32 = (value: number) => ({ '!': 'int32', value });
const int64 = (value: number) => ({ '!': 'int64', value });

describe('headers as AMQP tables', () => {
  it('have whole numbers of 32 and 64 bits only, however deep they are', () => {
    const given = {
      few: 1,
      some: 300,
      below: -1,
      at: 1_795_314_570_000,
      ago: -(2 ** 40),
      list: [128, { in: 32_767 }],
      table: { n: 200 },
    };
    expect(amqpTable(given)).toEqual({
      few: int32(1),
      some: int32(300),
      below: int32(-1),
      at: int64(1_795_314_570_000),
      ago: { '!': 'double', value: -(2 ** 40) },
      list: [int32(128), { in: int32(32_767) }],
      table: { n: int32(200) },
    });
  });

  it('leave to the client what it writes rightly, or refuses', () => {
    const bytes = Buffer.from('x');
    const given = {
      text: 'a',
      none: null,
      yes: true,
      bytes,
      typed: { '!': 'uint8', value: 7 },
    };
    expect(amqpTable(given)).toEqual(given);
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(() => amqpTable(circle)).not.toThrow();
  });

  it('have other numbers in 64 bits with a fraction, which the client does not tell from whole ones when they are large', () => {
    for (const value of [0.5, 1e300, -1e300, -(2 ** 63) - 2_048, 2 ** 50 + 0.5]) {
      expect(amqpTable({ value })).toEqual({ value: { '!': 'double', value } });
    }
    expect(amqpTable({ value: -(2 ** 63) })).toEqual({ value: -(2 ** 63) });
  });

  it.each([Infinity, -Infinity, NaN])('cannot hold %d, over which the server closes the connection', (value) => {
    for (const given of [value, [value], { in: value }, { '!': 'double', value }, { '!': 'float', value }]) {
      expect(() => amqpTable({ given })).toThrow(/finite/);
    }
  });

  it('are so in every message', () => {
    const message = { headers: { clock: 200 }, properties: {}, contentType: 't', contentEncoding: 'e', body: 'b' };
    const { headers } = publishOptions(message, { ours: { runs: 129 } });
    expect(headers).toEqual({ clock: int32(200), ours: { runs: int32(129) } });
  });
});
