import { afterAll, beforeAll, describe, it } from 'vitest';
import { describeDriver } from '../../src/conformance/index.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';

describeDriver(
  'memory',
  {
    broker: true,
    transactions: false,
    results: true,
    revocations: true,
    schedules: true,
    inspector: true,
    locks: true,
    barriers: true,
    pubsub: true,
  },
  async () => {
    const driver = memoryDriver();
    return { driver, peer: driver, dispose: () => driver.close() };
  },
  { describe, it: it.concurrent, beforeAll, afterAll },
);
