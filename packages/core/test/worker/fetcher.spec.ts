import { expect, it } from 'vitest';
import type { Clock } from '../../src/ambient/clock.js';
import { systemClock } from '../../src/ambient/clock.js';
import { silentLogger } from '../../src/ambient/logger.js';
import { deferred } from '../../src/async/deferred.js';
import { TaskSender } from '../../src/client/task-sender.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Broker, Subscription } from '../../src/ports/broker.js';
import { composeStores } from '../../src/ports/stores.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { defineTask } from '../../src/task/task-definition.js';
import { plainHandler, TaskRegistry } from '../../src/task/task-registry.js';
import { eventually } from '../../src/testing/eventually.js';
import { FakeClock } from '../../src/testing/fake-clock.js';
import { Worker } from '../../src/worker/worker.js';

it('a worker starts nothing of an answer that came while it was frozen for longer than its lease', async () => {
  const clock = new FakeClock();
  const driver = memoryDriver({ clock });
  const broker = driver.broker as Broker;
  let frozenMs = 0;
  const arrived = deferred();
  const thawed = deferred();
  const slow: Broker = Object.assign(Object.create(broker) as Broker, {
    consume: async (subscription: Subscription) => {
      const consumer = await broker.consume(subscription);
      const receive: typeof consumer.receive = async (request) => {
        const deliveries = await consumer.receive(request);
        if (deliveries.length > 0) {
          arrived.resolve();
          await thawed.promise;
        }
        return deliveries;
      };
      return Object.assign(Object.create(consumer) as typeof consumer, { receive });
    },
  });
  const frozenClock: Clock = Object.assign(Object.create(clock) as FakeClock, {
    monotonic: () => clock.monotonic() + frozenMs,
  });
  const runs: number[] = [];
  const registry = new TaskRegistry();
  const definition = defineTask('work', { bind: true });
  const handler = plainHandler(definition, (context: TaskContext) => runs.push(context.fence));
  registry.register({ definition, handler, source: 'work' });
  const settings = validateSettings({ worker: { lease: '1s', logTasks: false } });
  const stores = { ...composeStores({ broker: driver }), broker: slow };
  const common = { stores, registry, settings, clock: frozenClock };
  const worker = new Worker({ ...common, logger: silentLogger, random: () => 0.5 });
  await worker.start();
  await new TaskSender(common).sendTask('work');
  await arrived.promise;
  // No timer has run meanwhile.
  frozenMs += 5_000;
  thawed.resolve();
  await clock.advance('1s');
  expect(runs).toEqual([2]);
  const stopped = worker.stop({ graceMs: 0 });
  await clock.advance('1s');
  await stopped;
});

it('a worker runs no more at once than its concurrency, also when many are refused between', async () => {
  const driver = memoryDriver();
  const settings = validateSettings({ worker: { concurrency: 3, logTasks: false } });
  const registry = new TaskRegistry();
  let [active, most, ended] = [0, 0, 0];
  const definition = defineTask('work');
  const handler = plainHandler(definition, async () => {
    active += 1;
    most = Math.max(most, active);
    await new Promise((resolve) => setImmediate(resolve));
    active -= 1;
    ended += 1;
  });
  registry.register({ definition, handler, source: 'work' });
  const common = { stores: composeStores({ broker: driver }), registry, settings, clock: systemClock };
  const sender = new TaskSender(common);
  const worker = new Worker({ ...common, logger: silentLogger, random: () => 0.5 });
  await worker.start();
  // Quick ones first, so that it looks ahead.
  await sender.sendMany(Array.from({ length: 200 }, () => ({ task: 'work' })));
  await eventually(() => expect(ended).toBe(200));
  const mixed = Array.from({ length: 600 }, (_, index) => ({
    task: 'work',
    options: index % 2 === 0 ? { expires: new Date(0) } : {},
  }));
  await sender.sendMany(mixed);
  await eventually(() => expect(ended).toBe(500));
  expect(most).toBe(3);
  await worker.stop({ graceMs: 1_000 });
});
