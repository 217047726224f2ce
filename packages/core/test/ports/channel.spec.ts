import { describe, expect, it } from 'vitest';
import type { Channel } from '../../src/ports/channel.js';
import { hears } from '../../src/ports/channel.js';

const channel = (kind: Channel['kind'], key: string, exchange = 'x'): Channel => ({ exchange, kind, key });

describe('hears', () => {
  it.each([
    ['#', '', true],
    ['#', 'a.b.c', true],
    ['#.#.#', 'a', true],
    ['a.#', 'a', true],
    ['a.#', 'a.b.c', true],
    ['a.#', 'ab', false],
    ['#.c', 'a.b.c', true],
    ['#.c', 'a.c.d', false],
    ['a.#.c', 'a.c', true],
    ['a.#.c', 'a.b.b.c', true],
    ['*', 'a', true],
    ['*', '', false],
    ['*', 'a.b', false],
    ['a.*', 'a', false],
    ['a.*.#', 'a.b', true],
    ['a.*.#', 'a', false],
    ['', '', true],
    ['', 'a', false],
    ['a', 'A', false],
  ])('topic %j hears %j: %j', (pattern, key, expected) => {
    expect(hears(channel('topic', pattern), channel('topic', key))).toBe(expected);
  });

  it('takes direct keys to the letter, and fanout without any', () => {
    expect(hears(channel('direct', 'a.b'), channel('direct', 'a.b'))).toBe(true);
    expect(hears(channel('direct', '#'), channel('direct', 'a.b'))).toBe(false);
    expect(hears(channel('fanout', ''), channel('fanout', 'whatever'))).toBe(true);
  });

  it('tells exchanges and kinds apart', () => {
    expect(hears(channel('fanout', '', 'x'), channel('fanout', '', 'y'))).toBe(false);
    expect(hears(channel('topic', '#'), channel('fanout', ''))).toBe(false);
  });
});
