import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../src/testing/eventually.js';
import type { TaskEnvelope } from '../../src/message/task-message.js';
import type { Delivery } from '../../src/ports/delivery.js';
import { postponed } from '../../src/worker/early.js';
import { queuesUnderTest } from './worker-under-test.js';

describe('a message that comes before its eta', () => {
  const queueUnderTest = queuesUnderTest();

  it('goes back to the broker until then, and the slot is free for others', async () => {
    const queue = queueUnderTest({ worker: { concurrency: 1 } });
    const ran: [string, number][] = [];
    queue.task('note', (what: string) => void ran.push([what, Date.now()]));
    await queue.work();
    const eta = Date.now() + 1_800;
    // As an older Python client does: the broker is told nothing of the eta.
    const id = randomUUID();
    await queue.stores.broker.publish([
      {
        id,
        task: 'note',
        queue: queue.settings.defaultQueue,
        priority: 3,
        message: {
          headers: { lang: 'py', task: 'note', id, retries: 0, eta: new Date(eta).toISOString(), custom: 'kept' },
          properties: { correlation_id: id, priority: 3 },
          contentType: 'application/json',
          contentEncoding: 'utf-8',
          body: new TextEncoder().encode('[["late"], {}, {}]'),
        },
      },
    ]);
    const parked = await eventually(async () => {
      const [one] =
        (await queue.driver.inspector?.peek({ queue: queue.settings.defaultQueue, status: 'delayed', limit: 1 })) ?? [];
      expect(one?.id).toBe(id);
      return one;
    });
    expect([parked?.priority, parked?.message.headers['custom']]).toEqual([3, 'kept']);
    await queue.send('note', ['at once']);
    await eventually(() => expect(ran.map(([what]) => what)).toEqual(['at once', 'late']));
    expect(ran[1]?.[1]).toBeGreaterThanOrEqual(eta - 5);
  });
});

describe('a message that goes back for a while', () => {
  const message = {
    headers: { id: 'x' },
    properties: {},
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    body: '',
  };
  const delivery = (lostLeases: number): Delivery => {
    return { message, queue: 'q', receipt: undefined, run: 3, redelivered: true, lostLeases };
  };
  const envelope = { id: 'x', task: 't', lostChildren: 1 } as TaskEnvelope;

  it('goes as it is', () => {
    expect(postponed(delivery(0), envelope, 700)).toMatchObject({
      kind: 'replace',
      message: { delayMs: 700, message },
    });
  });

  it('does not lose count of the workers that it has lost: brokers begin anew', () => {
    expect(postponed(delivery(2), envelope, 700)).toMatchObject({
      message: { message: { headers: { id: 'x', taskqueue_lost_children: 3 } } },
    });
  });
});
