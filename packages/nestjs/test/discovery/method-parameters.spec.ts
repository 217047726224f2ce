import { describe, expect, it } from 'vitest';
import { methodParameters } from '../../src/discovery/method-parameters.js';

/* oxlint-disable no-unused-vars, unicorn/consistent-function-scoping -- only the parameter lists matter */
class Methods {
  none() {}
  one(a: number) {}
  async three(a: number, b = 2, c?: string) {}
  tricky(a = ')', b = { x: [1, 2, ')'] }, c = (x: number, y: number) => `${x},${y})`, d = '...rest') {}
  commented(a: number /* , b, ...c */, d: number) {}
  destructured({ a, ...others }: Record<string, number>, [b, ...more]: number[]) {}
  rest(a: number, ...rest: number[]) {}
  restAfterCall(a = Math.max(1, 2), ...rest: number[]) {}
  trailing(a: number, b: number) {}
  ['computed, name']() {}
}

describe('methodParameters', () => {
  it.each([
    ['none', 0, false],
    ['one', 1, false],
    ['three', 3, false],
    ['tricky', 4, false],
    ['commented', 2, false],
    ['destructured', 2, false],
    ['rest', 2, true],
    ['restAfterCall', 2, true],
    ['trailing', 2, false],
  ] as const)('%s', (method, count, rest) => {
    expect(methodParameters(Methods.prototype[method])).toEqual({ count, rest });
  });

  it('takes the length of what has no source', () => {
    expect(methodParameters(Methods.prototype.one.bind(new Methods()))).toEqual({ count: 1, rest: false });
    expect(methodParameters(Math.max as never)).toEqual({ count: 2, rest: false });
  });
});
