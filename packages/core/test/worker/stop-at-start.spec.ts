import { expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Broker, Consumer, Subscription } from '../../src/ports/broker.js';
import type { Driver } from '../../src/ports/driver.js';
import type { RevocationStore } from '../../src/ports/revocations.js';
import type { Worker } from '../../src/worker/worker.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

type Step = 'declare' | 'consume' | 'since';

/** A driver that keeps a worker waiting at one step of its start, and knows which consumers are open. */
function slowAt(slow: Step) {
  const inner = memoryDriver();
  const [asked, mayGoOn] = [deferred(), deferred()];
  const consumers = new Set<Consumer>();
  const wait = async (step: Step): Promise<void> => {
    if (step !== slow) return;
    asked.resolve();
    await mayGoOn.promise;
  };
  const broker = inner.broker as Broker;
  const consume = async (subscription: Subscription): Promise<Consumer> => {
    const consumer = await broker.consume(subscription);
    consumers.add(consumer);
    await wait('consume');
    const close = (): Promise<void> => {
      consumers.delete(consumer);
      return consumer.close();
    };
    return Object.assign(Object.create(consumer) as Consumer, { close });
  };
  const declare: Broker['declare'] = (queues) => wait('declare').then(() => broker.declare(queues));
  const revocations = inner.revocations as RevocationStore;
  const since: RevocationStore['since'] = (marker) => wait('since').then(() => revocations.since(marker));
  const driver = Object.assign(Object.create(inner) as Driver, {
    broker: Object.assign(Object.create(broker) as Broker, { consume, declare }),
    revocations: Object.assign(Object.create(revocations) as RevocationStore, { since }),
  });
  return { driver, consumers, asked: asked.promise, goOn: () => mayGoOn.resolve() };
}

it.each(['declare', 'consume', 'since'] as const)(
  'a worker that is stopped while it starts and waits for %s leaves nothing behind that consumes',
  async (step) => {
    const { driver, consumers, asked, goOn } = slowAt(step);
    const queue = open({}, driver);
    let ran = 0;
    queue.task('work', () => void (ran += 1));
    await queue.send('work', [], { queue: 'other' });
    const starting = queue.work({ queues: ['other'] });
    await asked;
    const [worker] = queue.started as [Worker];
    const stopped = worker.stop({ graceMs: 500 });
    goOn();
    await Promise.all([starting, stopped]);
    expect([worker.state, consumers.size, ran]).toEqual(['stopped', 0, 0]);
    const facts = (await queue.driver.inspector?.queues())?.find(({ name }) => name === 'other');
    expect(facts).toMatchObject({ ready: 1, leased: 0 });
  },
);

it('a worker whose start fails half-way leaves nothing behind that consumes', async () => {
  const { driver, consumers } = slowAt('declare');
  const { revocations, broker, ...rest } = driver;
  const failing = Object.assign(Object.create(driver) as Driver, rest, {
    broker: Object.assign(Object.create(broker as Broker) as Broker, { declare: () => Promise.resolve() }),
    revocations: Object.assign(Object.create(revocations as RevocationStore) as RevocationStore, {
      since: () => Promise.reject(new Error('It is away.')),
    }),
  });
  const queue = open({}, failing);
  await expect(queue.work({ queues: ['other'] })).rejects.toThrow('It is away.');
  expect(consumers.size).toBe(0);
});
