import { readFileSync } from 'node:fs';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rabbitmqIsInstalled, RabbitmqServer } from '../../../test/support/rabbitmq-server.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

const QUEUE = 'shop.mail';
const PAGE = readFileSync(new URL('../../../docs/rabbitmq.md', import.meta.url), 'utf8');

/** Configure, write and read as the operations page gives them. */
function permissionsOf(role: string): readonly string[] {
  const line = PAGE.split('\n').find(
    (one) => one.startsWith('rabbitmqctl set_permissions') && one.includes(` ${role} `),
  );
  return [...(line ?? '').matchAll(/'([^']*)'/g)].map(([, pattern]) => pattern as string);
}

describe.skipIf(!rabbitmqIsInstalled)('the permissions of the operations page', { timeout: 120_000 }, () => {
  let server: RabbitmqServer;
  const opened: Record<string, OpenedDriver> = {};
  beforeAll(async () => {
    server = await RabbitmqServer.create();
    for (const role of ['producer', 'worker', 'monitor']) {
      const permissions = permissionsOf(role);
      expect(permissions).toHaveLength(3);
      await server.control('add_user', role, 'secret');
      await server.control('set_permissions', role, ...permissions);
      const url = new URL(server.url);
      url.username = role;
      url.password = 'secret';
      opened[role] = await openDriver({ url: url.href });
    }
  }, 90_000);
  afterAll(async () => {
    await Promise.all(Object.values(opened).map(({ driver }) => driver.close()));
    await server?.remove();
  });

  it('are enough for a producer, a worker and a monitor', async () => {
    const [producer, worker, monitor] = [opened['producer']!, opened['worker']!, opened['monitor']!];
    const sent = [outgoing(QUEUE), outgoing(QUEUE, { delayMs: 300 })];
    for (const outcome of await producer.broker.publish(sent)) expect(outcome).toEqual({ status: 'accepted' });
    await producer.driver.ping();
    const taskId = sent[0]!.id;
    const replyTo = await producer.driver.rpc!.expect!([taskId]);
    const consumer = await worker.consume([QUEUE]);
    const [first, second] = await take(consumer, 2, 20_000);
    await worker.driver.rpc!.put([{ taskId, state: 'SUCCESS', name: 't', run: 1, attempts: 1, replyTo }]);
    await eventually(async () => expect((await producer.driver.rpc!.get([taskId]))[0]?.state).toBe('SUCCESS'));
    expect(
      await consumer.settle([
        { kind: 'dead-letter', delivery: first!, reason: 'bad' },
        { kind: 'replace', delivery: second!, message: outgoing(QUEUE, { delayMs: 1_000 }) },
      ]),
    ).toEqual(['settled', 'settled']);
    const again = await take(consumer, 1, 20_000);
    await consumer.settle(again.map(ack));
    const inspector = monitor.driver.inspector!;
    await inspector.pause(QUEUE);
    expect(await inspector.queues()).toMatchObject([{ name: QUEUE, paused: true, dead: 1 }]);
    expect(await inspector.redrive([idOf(first) as string])).toEqual([idOf(first)]);
    expect(await consumer.receive({ max: 1, signal: AbortSignal.timeout(300) })).toEqual([]);
    expect(await inspector.peek({ queue: QUEUE, status: 'ready', limit: 5 })).toHaveLength(1);
    await inspector.resume(QUEUE);
    expect((await take(consumer, 1)).map(idOf)).toEqual([idOf(first)]);
    expect(worker.log.join()).not.toContain('may not');
  });

  it('keep a producer from the queues of others, and say so', async () => {
    const [outcome] = await opened['producer']!.broker.publish([outgoing('bank.transfers')]);
    expect(outcome).toMatchObject({ status: 'refused', error: { code: 'CAPABILITY_UNSUPPORTED' } });
    await expect(opened['producer']!.driver.inspector!.pause(QUEUE)).rejects.toMatchObject({
      code: 'CAPABILITY_UNSUPPORTED',
    });
  });
});
