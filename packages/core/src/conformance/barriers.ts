import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Arrival, ArrivalAnswer, Barrier, BarrierStore } from '../ports/barrier-store.js';
import type { ConformanceContext, TestRunner } from './context.js';

const SHORT_TTL_MS = 600;
/** No text, with everything that text would break. */
const BODY = Uint8Array.from({ length: 256 }, (_, index) => index);

/** Groups that are counted until all have arrived. */
export function barrierSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const barriers = (): BarrierStore => {
    assert(context.driver.barriers);
    return context.driver.barriers;
  };
  const peer = (): BarrierStore => {
    assert(context.peer.barriers);
    return context.peer.barriers;
  };
  const open = async (barrier: Partial<Barrier> = {}): Promise<string> => {
    const id = barrier.id ?? randomUUID();
    await barriers().open([{ size: 2, ttlMs: 60_000, body: BODY, ...barrier, id }]);
    return id;
  };
  const arrive = async (store: BarrierStore, arrival: Arrival): Promise<ArrivalAnswer | undefined> => {
    const answers = await store.arrive([arrival]);
    assert.equal(answers.length, 1);
    return answers[0];
  };

  describe('barriers', () => {
    it('let the last member through, with the body to the byte', async () => {
      const id = await open({ size: 3 });
      assert.deepEqual(await arrive(barriers(), { id, memberId: 'a' }), { completed: false, arrived: 1, size: 3 });
      assert.deepEqual(await arrive(peer(), { id, memberId: 'b' }), { completed: false, arrived: 2, size: 3 });
      const last = await arrive(barriers(), { id, memberId: 'c' });
      assert(last?.completed);
      assert.deepEqual([last.arrived, last.size], [3, 3]);
      assert.deepEqual(Uint8Array.from(last.body), BODY);
    });

    it('count a member once, however often it arrives', async () => {
      const id = await open();
      for (const store of [barriers(), peer(), barriers()]) {
        assert.deepEqual(await arrive(store, { id, memberId: 'a' }), { completed: false, arrived: 1, size: 2 });
      }
      assert((await arrive(peer(), { id, memberId: 'b' }))?.completed);
    });

    it('are completed by one member, and tell it again when it asks again', async () => {
      const id = await open();
      await arrive(barriers(), { id, memberId: 'a' });
      const first = await arrive(barriers(), { id, memberId: 'b' });
      assert(first?.completed);
      assert.deepEqual(await arrive(peer(), { id, memberId: 'b' }), first, 'its answer may have been lost');
      assert.deepEqual(await arrive(peer(), { id, memberId: 'a' }), { completed: false, arrived: 2, size: 2 });
    });

    it('are completed once when all arrive together, and twice each', async () => {
      const size = 30;
      const id = await open({ size });
      const members = Array.from({ length: size }, (_, index) => String(index));
      const answers = await Promise.all(
        [...members, ...members].map(async (memberId, index) => ({
          memberId,
          answer: await arrive(index % 2 === 0 ? barriers() : peer(), { id, memberId }),
        })),
      );
      const completedBy = new Set(answers.filter(({ answer }) => answer?.completed).map(({ memberId }) => memberId));
      assert.equal(completedBy.size, 1);
      // Every member saw a number of its own when it came first.
      const counts = new Set(answers.map(({ answer }) => answer?.arrived));
      assert.deepEqual(
        [...counts].sort((a, b) => (a ?? 0) - (b ?? 0)),
        members.map((index) => Number(index) + 1),
      );
    });

    it('that are opened again keep what they have counted', async () => {
      const id = await open({ size: 2 });
      await arrive(barriers(), { id, memberId: 'a' });
      await open({ id, size: 5, body: new Uint8Array() });
      const last = await arrive(barriers(), { id, memberId: 'b' });
      assert(last?.completed);
      assert.equal(last.body.length, BODY.length);
    });

    it('of one member are complete at once', async () => {
      const id = await open({ size: 1 });
      assert((await arrive(peer(), { id, memberId: 'a' }))?.completed);
    });

    it('that are unknown or discarded answer nothing', async () => {
      assert.equal(await arrive(barriers(), { id: randomUUID(), memberId: 'a' }), undefined);
      const id = await open();
      await arrive(barriers(), { id, memberId: 'a' });
      await peer().discard([id, randomUUID()]);
      await peer().discard([]);
      assert.equal(await arrive(barriers(), { id, memberId: 'b' }), undefined);
      // Nothing is left of it: the same id may be opened anew.
      await open({ id });
      assert.deepEqual(await arrive(barriers(), { id, memberId: 'b' }), { completed: false, arrived: 1, size: 2 });
    });

    it('expire when nobody arrives for long enough, and not while somebody does', async () => {
      const left = await open({ ttlMs: SHORT_TTL_MS });
      const used = await open({ size: 99, ttlMs: SHORT_TTL_MS });
      const started = performance.now();
      let asked = started;
      for (let member = 1; asked - started < 2 * SHORT_TTL_MS; member += 1) {
        await new Promise((resolve) => setTimeout(resolve, SHORT_TTL_MS / 10));
        const before = asked;
        asked = performance.now();
        const answer = await arrive(barriers(), { id: used, memberId: String(member) });
        // A machine that stood still for so long proves nothing.
        if (performance.now() - before < SHORT_TTL_MS) assert.equal(answer?.arrived, member);
        else if (answer === undefined) return;
      }
      assert.equal(await arrive(barriers(), { id: left, memberId: 'a' }), undefined);
    });

    it('are opened, arrived at and discarded in batches, each for itself, in order', async () => {
      const [a, b] = [randomUUID(), randomUUID()];
      const barrier = { size: 2, ttlMs: 60_000 };
      await barriers().open([
        { ...barrier, id: a, body: Uint8Array.of(1) },
        { ...barrier, id: b, body: Uint8Array.of(2) },
      ]);
      await barriers().open([]);
      const answers = await barriers().arrive([
        { id: b, memberId: 'm' },
        { id: a, memberId: 'm' },
        { id: randomUUID(), memberId: 'm' },
        { id: b, memberId: 'm' },
        { id: b, memberId: 'n' },
      ]);
      assert.deepEqual(
        answers.map((answer) => answer && [answer.arrived, answer.completed]),
        [[1, false], [1, false], undefined, [1, false], [2, true]],
      );
      const last = answers[4];
      assert(last?.completed);
      assert.deepEqual(Uint8Array.from(last.body), Uint8Array.of(2));
      assert.deepEqual(await barriers().arrive([]), []);
      await barriers().discard([a, b]);
      assert.deepEqual(await barriers().arrive([a, b].map((id) => ({ id, memberId: 'o' }))), [undefined, undefined]);
    });
  });
}
