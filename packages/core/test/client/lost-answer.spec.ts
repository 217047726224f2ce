import { describe, expect, it } from 'vitest';
import { FaultyDriver } from '../../src/testing/faulty-driver.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import { systemClock } from '../../src/ambient/clock.js';
import type { ResultBackend } from '../../src/ports/result-backend.js';
import { queuesUnderTest } from '../worker/worker-under-test.js';

const open = queuesUnderTest();

describe('a publication whose answer is lost', () => {
  it('is not repeated when the task has ended meanwhile', async () => {
    const driver = new FaultyDriver(memoryDriver(), { clock: systemClock });
    const queue = open({}, driver);
    const runs: string[] = [];
    queue.task('pay', (order: string) => runs.push(order));
    await queue.work();
    driver.loseReply('broker.publish');
    const handle = await queue.send('pay', ['A-1'], { retry: { delay: '400ms', max: 3 } });
    expect(await handle.get({ timeout: '5s' })).toBe(1);
    // Whatever was sent twice would be ahead of this one.
    await (await queue.send('pay', ['A-2'])).get({ timeout: '5s' });
    expect(runs).toEqual(['A-1', 'A-2']);
  });

  it('is repeated when the id was used by a task of long ago', async () => {
    const inner = memoryDriver();
    const driver = new FaultyDriver(inner, { clock: systemClock });
    const queue = open({}, driver);
    const runs: string[] = [];
    queue.task('pay', (order: string) => runs.push(order));
    const ended = { taskId: 'order-7', name: 'pay', state: 'SUCCESS', run: 1, attempts: 1 } as const;
    await driver.results?.put([{ ...ended, doneAt: Date.now() - 3_600_000 }]);
    driver.down(['broker.publish']);
    const results = inner.results as { get: ResultBackend['get'] };
    const get = results.get.bind(results);
    // The sender looks for a record once the first try has failed.
    results.get = (ids) => {
      driver.up();
      return get(ids);
    };
    await queue.send('pay', ['A-7'], { taskId: 'order-7', retry: { delay: 1, max: 3 } });
    await queue.work();
    await (await queue.send('pay', ['A-8'])).get({ timeout: '5s' });
    expect(runs).toEqual(['A-7', 'A-8']);
  });
});
