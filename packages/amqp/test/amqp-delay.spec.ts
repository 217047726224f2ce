import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { delayOf, entranceOf, levels } from '../src/amqp-delay.js';
import { amqpUrl } from './broker-url.js';
import { ack, idOf, openDriver, take } from './open-driver.js';

const NOW = 1_000_000;

describe('a delay', () => {
  it.each([
    [{ delayMs: 1 }, { fractionMs: 100 }],
    [{ delayMs: 100 }, { fractionMs: 100 }],
    [{ delayMs: 101 }, { fractionMs: 200 }],
    [{ eta: NOW + 900 }, { fractionMs: 900 }],
    [{ delayMs: 901 }, { seconds: 1 }],
    [{ delayMs: 1_000 }, { seconds: 1 }],
    [{ eta: NOW + 1_001 }, { seconds: 2 }],
    [{ delayMs: 2 ** 28 * 1_000 - 1_000 }, { seconds: 2 ** 28 - 1 }],
  ])('%o is %o: never early, in tenths below a second', (due, delay) => {
    expect(delayOf(due, NOW)).toEqual(delay);
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
    const zeros = '0.'.repeat(25);
    expect(entranceOf({ fractionMs: 300 }, 'q')).toEqual({
      exchange: 'taskqueue.delayed.300ms',
      key: `${zeros}0.0.0.q`,
      queue: 'taskqueue.delayed.300ms',
    });
    expect(entranceOf({ seconds: 5 }, 'q')).toEqual({
      exchange: 'celery_delayed_27',
      key: `${zeros}1.0.1.q`,
      queue: 'celery_delayed_2',
    });
  });

  it('begins only where a queue is declared, and an exchange', () => {
    const { queues, exchanges } = levels('classic');
    for (const ms of [100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000, 2 ** 27 * 1_000]) {
      const entrance = entranceOf(delayOf({ delayMs: ms }, NOW)!, 'q');
      expect(queues.map(({ name }) => name)).toContain(entrance.queue);
      expect(exchanges.map(({ name }) => name)).toContain(entrance.exchange);
    }
  });

  it.skipIf(amqpUrl === undefined).each(['quorum', 'classic'] as const)(
    'of a fraction of a second ends before one of two seconds that began earlier, on %s levels',
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
