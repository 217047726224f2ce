import type { Driver } from '../ports/driver.js';
import { barrierSuite } from './barriers.js';
import type { DriverUnderTest, TestRunner } from './context.js';
import { ConformanceContext } from './context.js';
import { delaySuite } from './delay.js';
import { deliverySuite } from './delivery.js';
import { inspectorSuite } from './inspector.js';
import { leaseSuite } from './leases.js';
import { lockSuite } from './locks.js';
import { pubSubSuite } from './pub-sub.js';
import { publishSuite } from './publish.js';
import { resultSuite } from './results.js';
import { revocationSuite } from './revocations.js';
import { scheduleSuite, scheduleSyncSuite } from './schedules.js';
import { transactionSuite } from './transactions.js';

export type { DriverUnderTest, TestRunner } from './context.js';
export { registerPoolTasks } from './pool-tasks.js';
export { describePool } from './pools.js';
export type { PoolTraits } from './pools.js';
export type { OpenPool, PoolOptions } from './pool-scene.js';

/** What a driver says it offers; the suites are chosen from it, and it must be true of the driver that is opened. */
export interface DriverPorts {
  readonly broker: boolean;
  readonly transactions: boolean;
  readonly results: boolean;
  readonly revocations: boolean;
  readonly schedules: boolean;
  readonly inspector: boolean;
  readonly locks: boolean;
  readonly barriers: boolean;
  readonly pubsub: boolean;
}

/**
 * The specification of a driver as tests. Call it from a test file with the runner's own functions:
 *
 * ```ts
 * import { afterAll, beforeAll, describe, it } from 'vitest';
 * describeDriver('memory', { broker: true, … }, openDriver, { describe, it, beforeAll, afterAll });
 * ```
 *
 * Every case has queues and ids of its own; cases may run in parallel.
 */
export function describeDriver(
  name: string,
  ports: DriverPorts,
  factory: () => Promise<DriverUnderTest>,
  runner: TestRunner,
): void {
  runner.describe(`${name} conforms`, () => {
    const context = new ConformanceContext(factory);
    runner.beforeAll(() => context.open());
    runner.afterAll(() => context.close());
    runner.it('offers the ports that it says', () => offersPorts(context.driver, ports));
    if (ports.broker) {
      publishSuite(context, runner);
      deliverySuite(context, runner);
      leaseSuite(context, runner);
      delaySuite(context, runner);
    }
    if (ports.transactions) transactionSuite(context, runner);
    if (ports.results) resultSuite(context, runner);
    if (ports.revocations) revocationSuite(context, runner);
    if (ports.schedules) scheduleSuite(context, runner);
    if (ports.inspector) inspectorSuite(context, runner);
    if (ports.locks) lockSuite(context, runner);
    if (ports.barriers) barrierSuite(context, runner);
    if (ports.pubsub) pubSubSuite(context, runner);
  });
  if (!ports.schedules) return;
  runner.describe(`${name} syncs schedules`, () => {
    const context = new ConformanceContext(factory);
    runner.beforeAll(() => context.open());
    runner.afterAll(() => context.close());
    scheduleSyncSuite(context, runner);
  });
}

function offersPorts(driver: Driver, ports: DriverPorts): Promise<void> {
  const offered: DriverPorts = {
    broker: driver.broker !== undefined,
    transactions: driver.broker?.capabilities.transactions ?? false,
    results: driver.results !== undefined,
    revocations: driver.revocations !== undefined,
    schedules: driver.schedules !== undefined,
    inspector: driver.inspector !== undefined,
    locks: driver.locks !== undefined,
    barriers: driver.barriers !== undefined,
    pubsub: driver.pubsub !== undefined,
  };
  for (const port of Object.keys(offered) as (keyof DriverPorts)[]) {
    if (offered[port] !== ports[port])
      return Promise.reject(new Error(`port ${port}: the driver says ${offered[port]}`));
  }
  return Promise.resolve();
}
