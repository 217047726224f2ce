import { randomUUID } from 'node:crypto';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import type { Namespace } from './namespace.js';
import { createNamespace, redisUrl } from './namespace.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';

const SHORT_LEASE_MS = 100;

/** The lists are open to whoever may write there. What is in them must not harm what is beside it. */
describe.skipIf(redisUrl === undefined)('what others do to the keys of a queue', { timeout: 60_000 }, () => {
  let space: Namespace;
  let opened: OpenedDriver;

  beforeAll(async () => {
    space = createNamespace();
    opened = await openDriver({ url: space.url });
  });

  afterAll(async () => {
    await opened.driver.close();
    await space.dispose();
  });

  const recovered = async (count: number): Promise<void> => {
    let sum = 0;
    await eventually(async () => {
      sum += (await opened.broker.recover?.())?.recovered ?? 0;
      expect(sum).toBe(count);
    });
  };

  it('a message that is nested too deeply to be written again is handed out, and so is what stands beside it', async () => {
    const queue = `q-${randomUUID()}`;
    const depth = 100_000;
    const spoilt = `{"body":${'['.repeat(depth)}${']'.repeat(depth)},"headers":{},"properties":{}}`;
    await space.client.lpush(space.prefix + queue, spoilt);
    const message = outgoing(queue);
    await opened.broker.publish([message]);
    const consumer = await opened.consume([queue]);
    const deliveries = await take(consumer, 2);
    expect(deliveries.map(idOf)).toEqual([undefined, message.id]);
    expect(deliveries[0]?.message.contentType).toBe('application/octet-stream');
    expect(await consumer.settle(deliveries.map(ack))).toEqual(['settled', 'settled']);
  });

  it.each([
    ['that stands at another place', (id: string) => `{"body":"","headers":{"id":"${id}"},"taskqueue":[1,0,0]}`],
    ['that is less than nothing', (id: string) => `{"taskqueue":[-1,-9,-9],"body":"","headers":{"id":"${id}"}}`],
  ])('a count of runs and losses %s does not keep us from counting', async (_what, text) => {
    const queue = `q-${randomUUID()}`;
    const id = randomUUID();
    await opened.broker.declare([{ name: queue }]);
    await space.client.lpush(space.prefix + queue, text(id));
    const [first] = await take(await opened.consume([queue], SHORT_LEASE_MS), 1);
    expect([idOf(first), first?.run, first?.lostLeases]).toEqual([id, 1, 0]);
    await recovered(1);
    const [second] = await take(await opened.consume([queue], SHORT_LEASE_MS), 1);
    expect([idOf(second), second?.run, second?.lostLeases]).toEqual([id, 2, 1]);
    await recovered(1);
    const [third] = await take(await opened.consume([queue]), 1);
    expect([idOf(third), third?.run, third?.lostLeases]).toEqual([id, 3, 2]);
  });

  it('a name that somebody else uses for something else loses nothing, and holds up no other queue', async () => {
    const [taken, other] = [`a-${randomUUID()}`, `b-${randomUUID()}`];
    const [urgent, beside] = [outgoing(taken, { priority: 9 }), outgoing(other)];
    await opened.broker.publish([urgent, beside]);
    await space.client.set(space.prefix + taken, 'not a list');
    const consumer = await opened.consume([taken, other]);
    const deliveries = await take(consumer, 2);
    expect(deliveries.map(idOf)).toEqual([urgent.id, beside.id]);
    expect(await consumer.settle(deliveries.map(ack))).toEqual(['settled', 'settled']);
    expect((await opened.inspector.queues()).find(({ name }) => name === taken)).toMatchObject({ ready: 0, dead: 0 });
    const waiting = outgoing(other);
    await opened.broker.publish([waiting]);
    const request = { taskId: waiting.id, terminate: false, expiresAt: Date.now() + 60_000, waiting: 'drop' as const };
    expect(await opened.revocations.revoke([request])).toEqual([waiting.id]);
    // Where there is nothing else to say, that is said.
    const signal = AbortSignal.timeout(10_000);
    await expect(consumer.receive({ max: 1, signal })).rejects.toThrow('WRONGTYPE');
  });

  it('nor does it hold up what falls due in another queue, and what fell due itself waits', async () => {
    const [taken, other] = [`a-${randomUUID()}`, `b-${randomUUID()}`];
    await opened.broker.declare([{ name: taken }, { name: other }]);
    await space.client.set(space.prefix + taken, 'not a list');
    const [stuck, beside] = [outgoing(taken, { delayMs: 20 }), outgoing(other, { delayMs: 20 })];
    await opened.broker.publish([stuck, beside]);
    expect((await take(await opened.consume([other]), 1)).map(idOf)).toEqual([beside.id]);
    await space.client.del(space.prefix + taken);
    expect((await take(await opened.consume([taken]), 1)).map(idOf)).toEqual([stuck.id]);
  });
});
