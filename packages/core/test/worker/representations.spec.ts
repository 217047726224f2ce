import { describe, expect, it } from 'vitest';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Broker } from '../../src/ports/broker.js';
import type { Driver } from '../../src/ports/driver.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

/** A driver whose queues nobody else reads. */
function privateDriver(): Driver {
  const driver = memoryDriver();
  const capabilities = { ...(driver.broker as Broker).capabilities, privateQueues: true as const };
  Object.defineProperty(driver.broker, 'capabilities', { value: capabilities });
  return driver;
}

describe('arguments as text', () => {
  it('stay out of a message that only we read, and are in the record as they were sent', async () => {
    const queue = open({}, privateDriver());
    queue.task('sort', (list: number[]) => list.sort((a, b) => a - b));
    const handle = await queue.send<number[]>('sort', [[3, 1, 2]], { kwargs: {} });
    const [waiting] = (await queue.driver.inspector?.peek({ queue: 'default', status: 'ready', limit: 1 })) ?? [];
    expect(waiting?.message.headers).not.toHaveProperty('argsrepr');
    await queue.work();
    expect(await handle.get({ timeout: '5s' })).toEqual([1, 2, 3]);
    expect(await handle.record()).toMatchObject({ argsRepr: '([3, 1, 2],)', kwargsRepr: '{}' });
  });

  it('of the caller are carried and win, here as anywhere', async () => {
    const queue = open({}, privateDriver());
    queue.task('login', (_user: string, _password: string) => undefined);
    const handle = await queue.send('login', ['ann', 'secret'], { argsRepr: "('ann', '***')" });
    await queue.work();
    await handle.get({ timeout: '5s' });
    expect((await handle.record())?.argsRepr).toBe("('ann', '***')");
  });

  it('are in the record of a failure that is kept though results are ignored', async () => {
    const queue = open({}, privateDriver());
    const fail = (): never => {
      throw new Error('no');
    };
    queue.task('kept', fail, { ignoreResult: true, storeErrorsEvenIfIgnored: true });
    const handle = await queue.send('kept', [1]);
    await queue.work();
    await handle.get({ timeout: '5s' }).catch(() => undefined);
    expect(await handle.record()).toMatchObject({ state: 'FAILURE', argsRepr: '(1,)' });
  });
});
