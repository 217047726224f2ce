import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { LockAnswer, LockRequest, LockStore } from '../ports/lock-store.js';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';

const SHORT_TTL_MS = 300;

/** Permits: who gets them, who loses them, and the tokens that tell one grant from the next. */
export function lockSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const locks = (): LockStore => {
    assert(context.driver.locks);
    return context.driver.locks;
  };
  const peer = (): LockStore => {
    assert(context.peer.locks);
    return context.peer.locks;
  };
  const ask = async (store: LockStore, request: Partial<LockRequest> & { key: string }): Promise<LockAnswer> => {
    const [answer] = await store.acquire([{ owner: randomUUID(), permits: 1, ttlMs: 30_000, ...request }]);
    assert(answer);
    return answer;
  };
  /** Asks and insists. */
  const grant = async (store: LockStore, request: Partial<LockRequest> & { key: string }): Promise<number> => {
    const answer = await ask(store, request);
    assert.equal(answer.status, 'acquired');
    assert(answer.status === 'acquired' && Number.isSafeInteger(answer.token));
    return answer.token;
  };
  const refuse = async (store: LockStore, request: Partial<LockRequest> & { key: string }) => {
    const answer = await ask(store, request);
    assert(answer.status === 'held', 'the lock was granted');
    return answer.holder;
  };

  describe('locks', () => {
    it('are held by one owner, in every process, until released', async () => {
      const key = randomUUID();
      const token = await grant(locks(), { key, owner: 'a' });
      const holder = await refuse(peer(), { key, owner: 'b', ttlMs: 10 });
      assert.deepEqual([holder.owner, holder.token], ['a', token]);
      assert(holder.expiresInMs > 0 && holder.expiresInMs <= 30_000);
      assert.deepEqual(await locks().release([{ key, owner: 'a', token }]), ['released']);
      assert.deepEqual(await locks().release([{ key, owner: 'a', token }]), ['lost']);
      assert((await grant(peer(), { key, owner: 'b' })) > token);
    });

    it('end by themselves, and then belong to nobody who held them', async () => {
      const key = randomUUID();
      const token = await grant(locks(), { key, owner: 'a', ttlMs: SHORT_TTL_MS });
      const next = await eventually(() => grant(peer(), { key, owner: 'b' }));
      assert(next > token);
      assert.deepEqual(await locks().renew([{ key, owner: 'a', token, ttlMs: 30_000 }]), ['lost']);
      assert.deepEqual(await locks().release([{ key, owner: 'a', token }]), ['lost']);
      assert.equal((await refuse(locks(), { key })).owner, 'b');
    });

    it('cannot be renewed after their end, even if nobody else came', async () => {
      const key = randomUUID();
      const token = await grant(locks(), { key, owner: 'a', ttlMs: SHORT_TTL_MS });
      await eventually(async () => assert.deepEqual(await peer().holders(key), []));
      assert.deepEqual(await locks().renew([{ key, owner: 'a', token, ttlMs: 30_000 }]), ['lost']);
      assert((await grant(locks(), { key, owner: 'a' })) > token, 'a new grant has a new token');
    });

    it('live on while they are renewed', async () => {
      const key = randomUUID();
      const token = await grant(locks(), { key, owner: 'a', ttlMs: 2_000 });
      assert.deepEqual(await locks().renew([{ key, owner: 'a', token, ttlMs: 30_000 }]), ['renewed']);
      const holder = await refuse(peer(), { key });
      assert(holder.expiresInMs > 2_000 && holder.expiresInMs <= 30_000);
      assert.equal(holder.token, token);
      // And shortened, too.
      assert.deepEqual(await locks().renew([{ key, owner: 'a', token, ttlMs: SHORT_TTL_MS }]), ['renewed']);
      await eventually(() => grant(peer(), { key }));
    });

    it('are given again to the owner who asks again, with the same token', async () => {
      const key = randomUUID();
      const token = await grant(locks(), { key, owner: 'a', ttlMs: 2_000 });
      assert.equal(await grant(peer(), { key, owner: 'a', ttlMs: 30_000 }), token);
      const holders = await locks().holders(key);
      assert.equal(holders.length, 1);
      assert((holders[0]?.expiresInMs ?? 0) > 2_000);
    });

    it('are fenced: a token of before renews and releases nothing', async () => {
      const key = randomUUID();
      const before = await grant(locks(), { key, owner: 'a' });
      await locks().release([{ key, owner: 'a', token: before }]);
      const token = await grant(locks(), { key, owner: 'a' });
      assert.deepEqual(await locks().renew([{ key, owner: 'a', token: before, ttlMs: 1 }]), ['lost']);
      assert.deepEqual(await locks().release([{ key, owner: 'a', token: before }]), ['lost']);
      assert.deepEqual(await locks().release([{ key, owner: 'b', token }]), ['lost']);
      assert.equal((await locks().holders(key))[0]?.token, token);
    });

    it('have as many holders as permits, whoever asks at once', async () => {
      const key = randomUUID();
      const owners = Array.from({ length: 40 }, (_, index) => `owner-${index}`);
      const answers = await Promise.all(
        owners.map((owner, index) => ask(index % 2 === 0 ? locks() : peer(), { key, owner, permits: 3 })),
      );
      const tokens = answers.flatMap((answer) => (answer.status === 'acquired' ? [answer.token] : []));
      assert.equal(tokens.length, 3);
      assert.equal(new Set(tokens).size, 3);
      const holders = await locks().holders(key);
      assert.deepEqual(
        holders.map((holder) => holder.token),
        [...tokens].sort((a, b) => a - b),
      );
    });

    it('name the holder whose end makes room', async () => {
      const key = randomUUID();
      await grant(locks(), { key, owner: 'late', permits: 3, ttlMs: 30_000 });
      await grant(locks(), { key, owner: 'soon', permits: 3, ttlMs: 10_000 });
      await grant(locks(), { key, owner: 'later', permits: 3, ttlMs: 20_000 });
      assert.equal((await refuse(peer(), { key, permits: 3 })).owner, 'soon');
      // With a lower limit more than one has to go first.
      assert.equal((await refuse(peer(), { key, permits: 2 })).owner, 'later');
      assert.equal((await refuse(peer(), { key, permits: 1 })).owner, 'late');
    });

    it('limit a rate when nobody releases them', async () => {
      const key = randomUUID();
      const starts: { before: number; after: number }[] = [];
      while (starts.length < 6) {
        const before = performance.now();
        const answer = await ask(starts.length % 2 === 0 ? locks() : peer(), { key, permits: 2, ttlMs: SHORT_TTL_MS });
        if (answer.status === 'acquired') starts.push({ before, after: performance.now() });
        else {
          const { expiresInMs } = answer.holder;
          assert(expiresInMs > 0 && expiresInMs <= SHORT_TTL_MS);
          await new Promise((resolve) => setTimeout(resolve, expiresInMs));
        }
      }
      for (let index = 2; index < starts.length; index += 1) {
        const span = (starts[index]?.after ?? 0) - (starts[index - 2]?.before ?? 0);
        assert(span >= SHORT_TTL_MS - 1, `three starts within ${span} ms`);
      }
    });

    it('are asked for, renewed and released in batches, each for itself, in order', async () => {
      const [a, b] = [randomUUID(), randomUUID()];
      const request = { owner: 'a', permits: 1, ttlMs: 30_000 };
      const answers = await locks().acquire([
        { ...request, key: a },
        { ...request, key: b },
        { ...request, key: a, owner: 'b' },
      ]);
      assert.deepEqual(
        answers.map((answer) => answer.status),
        ['acquired', 'acquired', 'held'],
      );
      const [first, second] = answers;
      assert(first?.status === 'acquired' && second?.status === 'acquired');
      const permits = [
        { key: b, owner: 'a', token: second.token },
        { key: randomUUID(), owner: 'a', token: 1 },
        { key: a, owner: 'a', token: first.token },
      ];
      assert.deepEqual(await peer().renew(permits.map((permit) => ({ ...permit, ttlMs: 20_000 }))), [
        'renewed',
        'lost',
        'renewed',
      ]);
      assert.deepEqual(await peer().release(permits), ['released', 'lost', 'released']);
      assert.deepEqual([await locks().holders(a), await locks().holders(b)], [[], []]);
      assert.deepEqual([await locks().acquire([]), await locks().renew([]), await locks().release([])], [[], [], []]);
    });

    it('of different keys know nothing of each other, whatever the keys are', async () => {
      const id = randomUUID();
      const keys = [id, `${id}:`, `${id}{a}`, `{${id}}`, `}${id}`, `%7D${id}`, `${id} ż'"\\%_`, id.toUpperCase()];
      for (const key of keys) await grant(locks(), { key, owner: `of ${key}` });
      for (const key of keys) assert.equal((await refuse(peer(), { key })).owner, `of ${key}`);
    });
  });
}
