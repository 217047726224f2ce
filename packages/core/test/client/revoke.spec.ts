import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/ambient/logger.js';
import { TaskSender } from '../../src/client/task-sender.js';
import type { TaskQueueSettingsInit } from '../../src/config/settings.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { DriverChoice } from '../../src/ports/stores.js';
import { composeStores } from '../../src/ports/stores.js';
import { defineTask } from '../../src/task/task-definition.js';
import { plainHandler, TaskRegistry } from '../../src/task/task-registry.js';
import { drained } from '../../src/testing/drain.js';
import { FakeClock } from '../../src/testing/fake-clock.js';
import { Worker } from '../../src/worker/worker.js';

const HOUR = 3_600_000;
const workers: Worker[] = [];

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop({ graceMs: 0 })));
});

function open(choice: Omit<DriverChoice, 'broker'> = {}, init: TaskQueueSettingsInit = {}) {
  const clock = new FakeClock();
  const driver = memoryDriver({ clock });
  const settings = validateSettings({ ...init, worker: { logTasks: false } });
  const registry = new TaskRegistry();
  const stores = composeStores({ broker: driver, ...choice });
  const sender = new TaskSender({ stores, registry, settings, clock });
  const work = async (): Promise<void> => {
    const worker = new Worker({ stores, registry, settings, clock, logger: silentLogger, random: () => 0.5 });
    workers.push(worker);
    await worker.start();
    await drained({ worker, inspector: stores.inspector, clock });
  };
  return { clock, driver, registry, stores, sender, work };
}

describe('a task that is revoked while it waits', () => {
  it('is recorded REVOKED at once, until results expire', async () => {
    const { clock, driver, sender } = open({}, { resultExpires: '2h' });
    const handle = await sender.sendTask('later', [], {}, { countdown: '1d' });
    await handle.revoke();
    const record = await handle.record();
    expect(record).toMatchObject({ state: 'REVOKED', name: 'later', expiresAt: clock.now() + 2 * HOUR });
    await clock.advance(2 * HOUR - 1);
    expect(await driver.results?.cleanUp?.()).toBe(0);
    await clock.advance(1);
    expect(await driver.results?.cleanUp?.()).toBe(1);
    expect(await handle.record()).toBeUndefined();
  });

  it('is recorded for ever where results are', async () => {
    const { sender } = open({}, { resultExpires: 0 });
    const handle = await sender.sendTask('later', [], {}, { countdown: '1d' });
    await handle.revoke();
    const record = await handle.record();
    expect(record?.state).toBe('REVOKED');
    expect(record?.expiresAt).toBeUndefined();
  });

  it('leaves no record where no results are kept', async () => {
    const { driver, sender } = open({ results: false });
    const handle = await sender.sendTask('later', [], {}, { countdown: '1d' });
    await handle.revoke();
    expect(await driver.results?.get([handle.id])).toEqual([undefined]);
    expect((await driver.inspector?.queues())?.map((queue) => queue.delayed)).toEqual([0]);
  });

  it('is recorded in the store of the results where that is another one, by the worker that refuses it', async () => {
    const results = memoryDriver();
    const { driver, sender, clock, registry, work } = open({ results });
    let runs = 0;
    const definition = defineTask('soon');
    registry.register({ definition, handler: plainHandler(definition, () => (runs += 1)), source: 'soon' });
    const handle = await sender.sendTask('soon');
    const revoked = handle.revoke();
    await clock.advance(2_000);
    await revoked;
    expect(await driver.results?.get([handle.id])).toMatchObject([{ state: 'PENDING' }]);
    await work();
    expect(await handle.record()).toMatchObject({ state: 'REVOKED', name: 'soon' });
    expect(await driver.results?.get([handle.id])).toEqual([undefined]);
    expect(runs).toBe(0);
  });
});
