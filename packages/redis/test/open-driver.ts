import type {
  Broker,
  Consumer,
  Delivery,
  Driver,
  Logger,
  QueueInspector,
  ResultBackend,
  RevocationStore,
  Settlement,
} from '@taskqueue/core';
import { redisDriver } from '../src/index.js';
import type { RedisDriverOptions } from '../src/index.js';

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

/** Receives until `count` deliveries have come; throws after ten seconds. */
export async function take(consumer: Consumer, count: number, timeoutMs = 10_000): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  const signal = AbortSignal.timeout(timeoutMs);
  while (taken.length < count) {
    if (signal.aborted) throw new Error(`${taken.length} of ${count} deliveries came within ${timeoutMs} ms`);
    // An outage fails a call; workers try again as well.
    taken.push(...(await consumer.receive({ max: count - taken.length, signal }).catch(() => [])));
  }
  return taken;
}

export const ack = (delivery: Delivery): Settlement => ({ kind: 'ack', delivery });

export function idOf(delivery: Delivery | undefined): unknown {
  return delivery?.message.headers['id'];
}

function recordingLogger(log: string[]): Logger {
  const write = (message: string): void => void log.push(message);
  return { fatal: write, error: write, warn: write, log: write, debug: write, verbose: write };
}
