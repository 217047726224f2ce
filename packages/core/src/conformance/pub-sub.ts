import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { EncodedMessage } from '../message/encoded-message.js';
import { bodyBytes } from '../message/encoded-message.js';
import type { Channel, Publication } from '../ports/channel.js';
import type { ChannelSubscription, PubSub } from '../ports/pub-sub.js';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';

/** What every store carries. */
const LARGEST_BODY = 512 * 1024;

/** Fan-out, while nothing breaks; what is lost when something does is nobody's promise. */
export function pubSubSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const pubsub = (): PubSub => {
    assert(context.driver.pubsub);
    return context.driver.pubsub;
  };
  const peer = (): PubSub => {
    assert(context.peer.pubsub);
    return context.peer.pubsub;
  };
  const fanout = (): Channel => ({ exchange: `x-${randomUUID()}`, kind: 'fanout', key: '' });

  /** Listens, for as long as `body` runs. */
  const listening = async (
    store: PubSub,
    channels: readonly Channel[],
    body: (heard: Publication[], subscription: ChannelSubscription) => Promise<void>,
  ): Promise<void> => {
    const heard: Publication[] = [];
    const subscription = store.subscribe(channels, (publication) => heard.push(publication));
    try {
      await subscription.ready;
      await body(heard, subscription);
    } finally {
      await subscription.close();
    }
  };
  const say = (store: PubSub, channel: Channel, ...texts: string[]): Promise<void> =>
    store.publish(texts.map((text) => ({ channel, message: said(text) })));

  describe('pub/sub', () => {
    it('is heard by everybody who listens, the speaker too, message by message', async () => {
      const channel = fanout();
      await listening(pubsub(), [channel], (here) =>
        listening(peer(), [channel], async (there) => {
          await say(pubsub(), channel, 'a', 'b');
          await say(peer(), channel, 'c');
          await eventually(() => {
            assert.deepEqual(textsOf(here).sort(), ['a', 'b', 'c']);
            assert.deepEqual(textsOf(there).sort(), ['a', 'b', 'c']);
          });
        }),
      );
    });

    it('carries messages as they are', async () => {
      const channel: Channel = { exchange: `x-${randomUUID()}`, kind: 'topic', key: 'worker.heartbeat' };
      const message: EncodedMessage = {
        headers: { hostname: 'w1@żółw', ticket: randomUUID(), clock: 14, expires: 1795201183.32236, none: null },
        properties: { delivery_mode: 1, priority: 0 },
        contentType: 'application/x-test',
        contentEncoding: 'binary',
        body: Uint8Array.from({ length: 256 }, (_, index) => index),
      };
      await listening(peer(), [{ ...channel, key: '#' }], async (heard) => {
        await pubsub().publish([{ channel, message }]);
        await eventually(() => assert.equal(heard.length, 1));
        assert.deepEqual(heard[0]?.channel, channel);
        const { body, properties, ...rest } = heard[0].message;
        const { body: sentBody, properties: sentProperties, ...sentRest } = message;
        assert.deepEqual(rest, sentRest);
        assert.deepEqual(new Uint8Array(bodyBytes(body)), sentBody);
        // A store may add properties of its own.
        for (const [name, value] of Object.entries(sentProperties)) assert.equal(properties[name], value, name);
      });
    });

    it('carries messages of half a mebibyte, also many at once', async () => {
      const channel = fanout();
      const large = 'x'.repeat(LARGEST_BODY - 2);
      await listening(peer(), [channel], async (heard) => {
        await say(pubsub(), channel, `1${large}`, 'between', `2${large}`);
        await eventually(() => assert.equal(heard.length, 3));
        assert.deepEqual(
          textsOf(heard)
            .sort()
            .map((text) => [text.slice(0, 7), text.length]),
          [
            ['1xxxxxx', LARGEST_BODY - 1],
            ['2xxxxxx', LARGEST_BODY - 1],
            ['between', 7],
          ],
        );
      });
    });

    it('keeps apart what is equal', async () => {
      const channel = fanout();
      await listening(peer(), [channel], async (heard) => {
        await say(pubsub(), channel, 'same', 'same', 'same');
        await eventually(() => assert.deepEqual(textsOf(heard), ['same', 'same', 'same']));
      });
    });

    it('chooses topics by pattern', async () => {
      const exchange = `x-${randomUUID()}`;
      const topic = (key: string): Channel => ({ exchange, kind: 'topic', key });
      const keys = ['worker.heartbeat', 'worker.online', 'task.sent', 'task', 'task.sent.late', 'last'];
      const patterns: Record<string, string[]> = {
        '#': keys,
        'worker.*': ['worker.heartbeat', 'worker.online'],
        'task.#': ['task.sent', 'task', 'task.sent.late'],
        'task.*': ['task.sent'],
        '*.sent': ['task.sent'],
        '#.late': ['task.sent.late'],
        'task.sent': ['task.sent'],
        'task.?ent': [],
        '[a-z]*': [],
      };
      const heard: Record<string, string[]> = {};
      const subscriptions = Object.keys(patterns).map((pattern) => {
        const own: string[] = (heard[pattern] = []);
        return peer().subscribe([topic(pattern), topic('last')], ({ channel }) => own.push(channel.key));
      });
      try {
        await Promise.all(subscriptions.map((subscription) => subscription.ready));
        for (const key of keys) await say(pubsub(), topic(key), 'x');
        await eventually(() => {
          for (const [pattern, expected] of Object.entries(patterns)) {
            assert.deepEqual([...(heard[pattern] ?? [])].sort(), [...new Set([...expected, 'last'])].sort(), pattern);
          }
        });
      } finally {
        await Promise.all(subscriptions.map((subscription) => subscription.close()));
      }
    });

    it('is heard once by a listener who listens to it in several ways', async () => {
      const exchange = `x-${randomUUID()}`;
      const topic = (key: string): Channel => ({ exchange, kind: 'topic', key });
      const ways = [topic('task.*'), topic('#'), topic('task.sent'), topic('task.sent')];
      await listening(peer(), ways, async (heard) => {
        await say(pubsub(), topic('task.sent'), 'a');
        await say(pubsub(), topic('task.sent'), 'b');
        await eventually(() => assert(heard.length >= 2));
        await say(pubsub(), topic('worker.online'), 'c');
        await eventually(() => assert(textsOf(heard).includes('c')));
        assert.deepEqual(textsOf(heard).sort(), ['a', 'b', 'c']);
      });
    });

    it('reaches one listener by its key', async () => {
      const exchange = `x-${randomUUID()}`;
      const [a, b] = [randomUUID(), randomUUID()].map((key): Channel => ({ exchange, kind: 'direct', key }));
      assert(a && b);
      await listening(pubsub(), [a], (heardByA) =>
        listening(peer(), [b], async (heardByB) => {
          await say(peer(), a, 'for a');
          await say(pubsub(), { exchange, kind: 'direct', key: randomUUID() }, 'for nobody');
          await say(pubsub(), b, 'for b', 'and b');
          await eventually(() => {
            assert.deepEqual(textsOf(heardByA), ['for a']);
            assert.deepEqual(textsOf(heardByB).sort(), ['and b', 'for b']);
          });
        }),
      );
    });

    it('carries a question to all, and the answers to who asked', async () => {
      const question = fanout();
      const answers: Channel = { exchange: `reply-${randomUUID()}`, kind: 'direct', key: randomUUID() };
      const answering = (store: PubSub, name: string): ChannelSubscription =>
        store.subscribe([question], () => void say(store, answers, name));
      const servants = [answering(pubsub(), 'a'), answering(peer(), 'b')];
      await Promise.all(servants.map((servant) => servant.ready));
      await listening(pubsub(), [answers], async (heard) => {
        await say(pubsub(), question, 'ping');
        await eventually(() => assert.deepEqual(textsOf(heard).sort(), ['a', 'b']));
      });
      await Promise.all(servants.map((servant) => servant.close()));
    });

    it('is not heard on other exchanges, nor when nobody listens any more', async () => {
      const [one, other] = [fanout(), fanout()];
      await say(pubsub(), one, 'before');
      await listening(peer(), [one], async (heard, subscription) => {
        await say(pubsub(), other, 'elsewhere');
        await say(pubsub(), one, 'here');
        await eventually(() => assert.deepEqual(textsOf(heard), ['here']));
        await subscription.close();
        await subscription.close();
        await say(pubsub(), one, 'after');
        await listening(peer(), [one], async (again) => {
          await say(pubsub(), one, 'again');
          await eventually(() => assert.deepEqual(textsOf(again), ['again']));
        });
        assert.deepEqual(textsOf(heard), ['here']);
      });
    });

    it('goes on for the others when one of several listeners leaves or fails', async () => {
      const channel = fanout();
      const failing = peer().subscribe([channel], () => {
        throw new Error('a listener that fails, on purpose');
      });
      await failing.ready;
      await listening(peer(), [channel, { ...channel }], async (heard) => {
        await listening(peer(), [channel], async (leaving) => {
          await say(pubsub(), channel, 'a');
          await eventually(() => assert.deepEqual([textsOf(heard), textsOf(leaving)], [['a'], ['a']]));
        });
        await say(pubsub(), channel, 'b');
        await eventually(() => assert.deepEqual(textsOf(heard), ['a', 'b']));
      });
      await failing.close();
    });

    it('takes nothing at all', async () => {
      await pubsub().publish([]);
      const subscription = pubsub().subscribe([], () => undefined);
      await subscription.ready;
      await subscription.close();
    });
  });
}

function said(text: string): EncodedMessage {
  return {
    headers: {},
    properties: {},
    contentType: 'text/plain',
    contentEncoding: 'utf-8',
    body: new TextEncoder().encode(text),
  };
}

function textsOf(publications: readonly Publication[]): string[] {
  return publications.map(({ message }) => bodyBytes(message.body).toString('utf8'));
}
