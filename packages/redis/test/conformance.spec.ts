import { describeDriver } from '@taskqueue/core/conformance';
import { silentLogger } from '@taskqueue/core';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { createDriver } from '../src/index.js';
import { createNamespace, redisUrl } from './namespace.js';

if (redisUrl === undefined) describe.skip('redis conforms', () => it('needs a server', () => undefined));
else {
  describeDriver(
    'redis',
    {
      broker: true,
      transactions: false,
      results: true,
      revocations: true,
      schedules: false,
      inspector: true,
      locks: true,
      barriers: true,
      pubsub: true,
    },
    async () => {
      const namespace = createNamespace();
      const [driver, peer] = [createDriver(namespace.url), createDriver(namespace.url)];
      await Promise.all([driver, peer].map((one) => one.connect({ logger: silentLogger })));
      return {
        driver,
        peer,
        dispose: async () => {
          await Promise.all([driver.close(), peer.close()]);
          await namespace.dispose();
        },
      };
    },
    { describe, it, beforeAll, afterAll },
  );
}
