import { describeDriver } from '@taskqueue/core/conformance';
import { silentLogger } from '@taskqueue/core';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { AmqpDriverOptions } from '../src/index.js';
import { amqpDriver } from '../src/index.js';
import { amqpUrl } from './broker-url.js';
import { removeDeclared, watchDeclared } from './open-driver.js';

const VARIANTS: Readonly<Record<string, AmqpDriverOptions>> = {
  'amqp, classic queues': {},
  'amqp, priorities': { maxPriority: 9, delayQueueType: 'classic' },
  'amqp, quorum queues': { queueType: 'quorum' },
};

for (const [name, options] of Object.entries(VARIANTS)) {
  if (amqpUrl === undefined) describe.skip(`${name} conforms`, () => it('needs a server', () => undefined));
  else conforms(name, { url: amqpUrl, ...options });
}

function conforms(name: string, options: AmqpDriverOptions & { readonly url: string }): void {
  describeDriver(
    name,
    {
      broker: true,
      transactions: false,
      results: false,
      revocations: false,
      schedules: false,
      inspector: true,
      locks: false,
      barriers: false,
      pubsub: true,
    },
    async () => {
      const drivers = [amqpDriver(options), amqpDriver(options)] as const;
      const names = drivers.map(watchDeclared);
      await Promise.all(drivers.map((one) => one.connect({ logger: silentLogger })));
      return {
        driver: drivers[0],
        peer: drivers[1],
        dispose: async () => {
          await Promise.all(drivers.map((one) => one.close()));
          await removeDeclared(options.url, new Set(names.flatMap((some) => [...some])));
        },
      };
    },
    { describe, it, beforeAll, afterAll },
  );
}
