// The raw client doing the bare minimum: one LPUSH for each message or each bulk, RPOP of many, each message parsed. No
// lease, so that what was taken is lost with its worker; no delay, no result.
import { Redis } from '../ioredis.mjs';
import { newTaskId } from '@taskqueue/core';
import { payload } from './payload.mjs';

const KEY = 'raw:noop';
const text = (index) => JSON.stringify({ id: newTaskId(), task: 'noop', args: [payload(index)] });

export async function open(url) {
  const redis = new Redis(url);
  const blocking = new Redis(url, { maxRetriesPerRequest: null });
  let stopped = false;
  let loop;
  return {
    enqueue: (index) => redis.lpush(KEY, text(index)),
    enqueueBulk: (indexes) => redis.lpush(KEY, ...indexes.map(text)),
    async work(concurrency, onTask) {
      loop = (async () => {
        while (!stopped) {
          const texts = await redis.rpop(KEY, Math.max(250, concurrency));
          for (const one of texts ?? []) onTask(JSON.parse(one).args[0]);
          if (texts === null) await blocking.blmove(KEY, KEY, 'RIGHT', 'RIGHT', 1);
        }
      })();
    },
    async close() {
      stopped = true;
      blocking.disconnect();
      await loop?.catch(() => undefined);
      redis.disconnect();
    },
  };
}
