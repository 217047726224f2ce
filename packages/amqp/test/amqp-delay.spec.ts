import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { delayedKey, delayOf, entranceOf, levels } from '../src/amqp-delay.js';
import { amqpUrl } from './broker-url.js';
import { ack, idOf, openDriver, take } from './open-driver.js';

const NOW = 1_000_000;

describe('a delay', () => {
  it.each([
    [{ delayMs: 1 }, 0, 100],
    [{ delayMs: 100 }, 0, 100],
    [{ delayMs: 101 }, 0, 200],
    [{ delayMs: 901 }, 1, 0],
    [{ delayMs: 1_000 }, 1, 0],
    [{ eta: NOW + 2_350 }, 2, 400],
    [{ delayMs: 59_999 }, 60, 0],
    [{ delayMs: 60_000 }, 60, 0],
    [{ delayMs: 60_001 }, 61, 0],
    [{ delayMs: 2 ** 28 * 1_000 - 1_000 }, 2 ** 28 - 1, 0],
  ])('%o is %i s and %i ms: never early, in tenths up to a minute', (due, seconds, fractionMs) => {
    expect(delayOf(due, NOW)).toEqual({ seconds, fractionMs });
  });

  it.each([{}, { delayMs: 0 }, { delayMs: -5 }, { eta: NOW }, { eta: NOW - 1 }])('%o is none', (due) => {
    expect(delayOf(due, NOW)).toBeUndefined();
  });

  it('beyond what the levels can express is refused', () => {
    expect(() => delayOf({ delayMs: 2 ** 28 * 1_000 }, NOW)).toThrow(
      expect.objectContaining({ code: 'PUBLISH_FAILED' }),
    );
  });

  it('begins in the queue of its tenths, or in that of its highest level', () => {
    expect(entranceOf({ seconds: 5, fractionMs: 300 }).queue).toBe('taskqueue.delayed.300ms');
    expect(entranceOf({ seconds: 5, fractionMs: 0 })).toEqual({
      exchange: 'celery_delayed_27',
      queue: 'celery_delayed_2',
    });
    expect(delayedKey(5, 'q')).toBe(`${'0.'.repeat(25)}1.0.1.q`);
  });

  it('begins only where a queue is declared, and an exchange', () => {
    const { queues, exchanges } = levels('classic');
    for (let ms = 100; ms < 62_000; ms += 100) {
      const entrance = entranceOf(delayOf({ delayMs: ms }, NOW)!);
      expect(queues.map(({ name }) => name)).toContain(entrance.queue);
      expect(exchanges.map(({ name }) => name)).toContain(entrance.exchange);
    }
  });

  it.skipIf(amqpUrl === undefined).each(['quorum', 'classic'] as const)(
    'of a fraction of a second ends before one of a second that began earlier, on %s levels',
    async (delayQueueType) => {
      const opened = await openDriver({ url: amqpUrl as string, delayQueueType });
      const queue = `d-${randomUUID().slice(0, 13)}`;
      const [long, short, due] = [
        outgoing(queue, { delayMs: 1_950 }),
        outgoing(queue, { delayMs: 200 }),
        Date.now() + 200,
      ];
      await opened.broker.publish([outgoing(queue)]);
      await opened.broker.publish([long, short]);
      const consumer = await opened.consume([queue]);
      await consumer.settle((await take(consumer, 1)).map(ack));
      const [first] = await take(consumer, 1);
      expect(Date.now()).toBeGreaterThanOrEqual(due);
      const [second] = await take(consumer, 1);
      expect([first, second].map(idOf)).toEqual([short.id, long.id]);
      await consumer.settle([first!, second!].map(ack));
      await opened.dispose();
    },
  );
});
