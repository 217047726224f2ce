import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutgoingMessage } from '../../src/ports/broker.js';
import { eventually } from '../../src/testing/eventually.js';
import { QueueUnderTest } from './worker-under-test.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Messages as someone who can write to the broker might forge them; `headers` undefined drops one. */
const HOSTILE: Readonly<
  Record<string, { headers?: Record<string, unknown>; body?: Uint8Array; contentType?: string }>
> = {
  'malformed JSON': { body: bytes('[[1], {}, ') },
  'not UTF-8': { body: Uint8Array.from([0xff, 0xfe, 0xfd]) },
  'an empty body': { body: new Uint8Array() },
  'a body that is no array': { body: bytes('{"args": []}') },
  'arguments that are no list': { body: bytes('["x", {}, {}]') },
  '__proto__ in the arguments': { body: bytes('[[{"__proto__": {"polluted": 1}}], {}, {}]') },
  '__proto__ as a keyword': { body: bytes('[[], {"__proto__": {"polluted": 1}}, {}]') },
  'constructor.prototype': { body: bytes('[[{"constructor": {"prototype": {"polluted": 1}}}], {}, {}]') },
  '__proto__ in the headers': { headers: JSON.parse('{"__proto__": {"polluted": 1}}') as Record<string, unknown> },
  'deep nesting': { body: bytes(`[[${'['.repeat(50_000)}${']'.repeat(50_000)}], {}, {}]`) },
  'a hundred megabytes': { body: new Uint8Array(100 * 1_048_576).fill(0x20) },
  'too many keys': { body: bytes(`[[{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join(',')}}], {}, {}]`) },
  pickle: { contentType: 'application/x-python-serialize', body: bytes('gASVAAAAAAAAAA==') },
  'an unknown content type': { contentType: 'application/x-evil' },
  'a decompression bomb': { headers: { compression: 'application/x-gzip' } },
  'no task name': { headers: { task: undefined } },
  'a task name that is an object': { headers: { task: { toString: 'x' } } },
  'the name of a built-in': { headers: { task: '__proto__' } },
  constructor: { headers: { task: 'constructor' } },
  'an id that is a number': { headers: { id: 7 } },
  'retries without end': { headers: { retries: 1e308 } },
  'negative retries': { headers: { retries: -1 } },
  'an eta that is no date': { headers: { eta: 'tomorrow' } },
  'an expiry that is an object': { headers: { expires: {} } },
  'time limits that are text': { headers: { timelimit: ['x', 'y'] } },
  'an unknown tag': { body: bytes('[[{"__type__": "evil", "__value__": "x"}], {}, {}]') },
  'a chain that is text': { body: bytes('[[1], {}, {"chain": "x"}]') },
  'a callback without a task': { body: bytes('[[1], {}, {"callbacks": [{}]}]') },
};

describe('a hostile message', () => {
  const queue = new QueueUnderTest();
  const seen: unknown[][] = [];
  beforeAll(async () => {
    queue.task('victim', (...args: unknown[]) => seen.push(args));
    queue.task('canary', () => ({}) as { polluted?: unknown });
    await queue.work();
  });
  afterAll(() => queue.close());

  for (const [what, forged] of Object.entries(HOSTILE)) {
    it(`with ${what} ends in the dead letters with a reason, and the worker lives`, async () => {
      const before = seen.length;
      const id = randomUUID();
      await queue.stores.broker.publish([forge(id, forged)]);
      const reason = await eventually(async () => {
        const dead = await queue.driver.inspector?.deadLetters({ limit: 1_000 });
        const found = dead?.messages.find((one) => one.id === id);
        expect(found, 'not dead yet').toBeDefined();
        return found?.reason;
      });
      expect(reason).toMatch(/malformed|undecodable|unknown task/);
      expect(reason?.length).toBeLessThanOrEqual(300);
      expect(seen).toHaveLength(before);
      expect(await (await queue.send('canary')).get({ timeout: '5s' })).toEqual({});
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    });
  }
});

function forge(id: string, forged: (typeof HOSTILE)[string]): OutgoingMessage {
  const headers = { lang: 'py', task: 'victim', id, retries: 0, root_id: id, ...forged.headers };
  return {
    id,
    task: 'victim',
    queue: 'default',
    priority: 0,
    message: {
      headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
      properties: { correlation_id: id, delivery_mode: 2 },
      contentType: forged.contentType ?? 'application/json',
      contentEncoding: 'utf-8',
      body: forged.body ?? bytes('[[1], {}, {}]'),
    },
  };
}
