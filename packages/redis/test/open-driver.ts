import type { Broker, Consumer, Driver, QueueInspector, ResultBackend, RevocationStore } from '@taskqueue/core';
import { redisDriver } from '../src/index.js';
import type { RedisDriverOptions } from '../src/index.js';
import { recordingLogger } from '../../../test/support/deliveries.js';

export { ack, idOf, take } from '../../../test/support/deliveries.js';

/** A connected driver, its ports without question marks, and what it logged. */
export interface OpenedDriver {
  readonly driver: Driver;
  readonly broker: Broker;
  readonly results: ResultBackend;
  readonly revocations: RevocationStore;
  readonly inspector: QueueInspector;
  readonly log: readonly string[];
  consume(queues: readonly string[], leaseMs?: number): Promise<Consumer>;
}

export async function openDriver(options: RedisDriverOptions): Promise<OpenedDriver> {
  const log: string[] = [];
  const driver = redisDriver(options);
  await driver.connect({ logger: recordingLogger(log) });
  const { broker, results, revocations, inspector } = driver;
  if (!broker || !results || !revocations || !inspector) throw new Error('a port is missing');
  return {
    driver,
    broker,
    results,
    revocations,
    inspector,
    log,
    consume: (queues, leaseMs = 30_000) => broker.consume({ queues, consumerId: 'test', leaseMs }),
  };
}
