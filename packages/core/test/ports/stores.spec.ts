import { describe, expect, it } from 'vitest';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Driver } from '../../src/ports/driver.js';
import { composeStores } from '../../src/ports/stores.js';

/** A driver without some of the ports. */
function lacking(...ports: (keyof Driver)[]): Driver {
  return Object.fromEntries(Object.entries(memoryDriver()).filter(([name]) => !ports.includes(name as never))) as never;
}

describe('composeStores', () => {
  it('takes everything from one driver', () => {
    const driver = memoryDriver();
    const stores = composeStores({ broker: driver });
    expect(stores.locks).toBe(driver.locks);
    expect(stores.barriers).toBe(driver.barriers);
    expect(stores.pubsub).toBe(driver.pubsub);
    expect(stores.drivers).toEqual([driver]);
  });

  it('takes locks and barriers from the driver of the results, and pub/sub from that of the broker', () => {
    const [broker, results] = [memoryDriver(), memoryDriver()];
    const stores = composeStores({ broker, results });
    expect(stores.locks).toBe(results.locks);
    expect(stores.barriers).toBe(results.barriers);
    expect(stores.pubsub).toBe(broker.pubsub);
  });

  it('takes them from the broker when the results have none, or none are kept', () => {
    const broker = memoryDriver();
    for (const results of [lacking('locks', 'barriers'), false] as const) {
      const stores = composeStores({ broker, results });
      expect(stores.locks).toBe(broker.locks);
      expect(stores.barriers).toBe(broker.barriers);
    }
  });

  it('has none where nobody offers them', () => {
    const broker = lacking('locks', 'barriers', 'pubsub');
    const stores = composeStores({ broker, results: lacking('locks', 'barriers') });
    expect([stores.locks, stores.barriers, stores.pubsub]).toEqual([undefined, undefined, undefined]);
  });

  it('forgets the record of what is redriven also where another driver keeps it, and no other record', async () => {
    const [broker, results] = [memoryDriver(), memoryDriver()];
    const { inspector } = composeStores({ broker, results });
    const encoded = {
      headers: {},
      properties: {},
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      body: '',
    };
    const [dead, alive] = ['dead', 'alive'];
    await broker.broker?.publish(
      [dead, alive].map((id) => ({ id, task: 't', queue: 'q', priority: 0, message: { ...encoded, headers: { id } } })),
    );
    const consumer = await broker.broker?.consume({ queues: ['q'], consumerId: 'c', leaseMs: 1_000 });
    const [delivery] = (await consumer?.receive({ max: 1, signal: AbortSignal.timeout(1_000) })) ?? [];
    await consumer?.settle([{ kind: 'dead-letter', delivery: delivery!, reason: 'x' }]);
    const record = (taskId: string) => ({ taskId, state: 'FAILURE', name: 't', run: 1, attempts: 1 }) as const;
    await results.results?.put([record(dead), record(alive)]);
    expect(await inspector?.redrive([dead, alive, 'nobody'])).toEqual([dead]);
    expect((await results.results?.get([dead, alive]))?.map((one) => one?.state)).toEqual([undefined, 'FAILURE']);
    await consumer?.close();
  });
});
