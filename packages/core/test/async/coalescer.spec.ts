import type { Deferred } from '../../src/index.js';
import { Coalescer, deferred } from '../../src/index.js';
import { describe, expect, it } from 'vitest';

/** What was sent, and the ways to answer: each call's items come back negated. */
class Calls {
  readonly sent: (readonly number[])[] = [];
  private readonly open: Deferred<void>[] = [];
  readonly coalescer: Coalescer<number, number>;

  constructor(calls: number) {
    this.coalescer = new Coalescer({
      calls,
      send: async (items) => {
        this.sent.push(items);
        const answered = deferred<void>();
        this.open.push(answered);
        await answered.promise;
        return items.map((item) => -item);
      },
    });
  }

  async answer(): Promise<void> {
    this.open.shift()?.resolve();
    await turn();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

describe('a coalescer', () => {
  it('sends the first at once, what comes meanwhile in the next call, and answers each with its own', async () => {
    const calls = new Calls(1);
    const first = calls.coalescer.add([1]);
    await turn();
    const second = calls.coalescer.add([2, 3]);
    const third = calls.coalescer.add([4]);
    const none = calls.coalescer.add([]);
    await calls.answer();
    expect(calls.sent).toEqual([[1], [2, 3, 4]]);
    await calls.answer();
    expect(await Promise.all([first, second, third, none])).toEqual([[-1], [-2, -3], [-4], []]);
  });

  it('makes a second call only for many, and no third', async () => {
    const calls = new Calls(2);
    void calls.coalescer.add([0]);
    await turn();
    for (const item of range(1, 15)) void calls.coalescer.add([item]);
    await turn();
    expect(calls.sent).toHaveLength(1);
    void calls.coalescer.add([16]);
    await turn();
    expect(calls.sent).toEqual([[0], range(1, 16)]);
    void calls.coalescer.add(range(17, 100));
    await turn();
    expect(calls.sent).toHaveLength(2);
    await calls.answer();
    expect(calls.sent).toHaveLength(3);
  });

  it('sends at most 500 in a call, and parts nothing that was added together', async () => {
    const calls = new Calls(1);
    void calls.coalescer.add([0]);
    await turn();
    const adding = [range(1, 400), range(401, 200), range(601, 900)].map((items) => calls.coalescer.add(items));
    for (let call = 0; call < 4; call += 1) await calls.answer();
    expect(calls.sent.map((items) => items.length)).toEqual([1, 400, 200, 900]);
    expect((await Promise.all(adding)).map((answers) => answers.length)).toEqual([400, 200, 900]);
  });
});
