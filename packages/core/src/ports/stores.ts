import type { Broker } from './broker.js';
import type { Driver } from './driver.js';
import type { QueueInspector } from './queue-inspector.js';
import type { ResultBackend } from './result-backend.js';
import type { RevocationStore } from './revocations.js';
import type { ScheduleStore } from './schedule-store.js';
import type { ConfigurationProblem } from '../errors/errors.js';
import { ConfigurationError } from '../errors/errors.js';

/** Which driver serves which port. One driver may serve all. */
export interface DriverChoice {
  readonly broker: Driver;
  /** Default: the broker's driver, where it can keep results. `false`: keep none. */
  readonly results?: Driver | false;
  /** Default: the results' driver, then the broker's, whichever can keep schedules. */
  readonly schedules?: Driver;
}

/** The ports that an application works with, whichever drivers they come from. */
export interface Stores {
  readonly broker: Broker;
  readonly results: ResultBackend | undefined;
  readonly revocations: RevocationStore | undefined;
  readonly schedules: ScheduleStore | undefined;
  readonly inspector: QueueInspector | undefined;
  /** Settlement, result and follow-up messages are one step. */
  readonly atomicCompletion: boolean;
  /** The schedule store publishes together with its advance. */
  readonly atomicFire: boolean;
  /** Each driver once. */
  readonly drivers: readonly Driver[];
}

/** Puts the ports together. Throws a ConfigurationError for a driver that lacks what it is chosen for. */
export function composeStores(choice: DriverChoice): Stores {
  const problems: ConfigurationProblem[] = [];
  const { broker: brokerDriver } = choice;
  const resultDriver = choice.results === false ? undefined : (choice.results ?? brokerDriver);
  const scheduleDriver =
    choice.schedules ?? [resultDriver, brokerDriver].find((driver) => driver?.schedules !== undefined);
  const drivers = [...new Set([brokerDriver, resultDriver, scheduleDriver].filter((driver) => driver !== undefined))];
  for (const driver of drivers) {
    if (driver.contract !== 1) {
      problems.push({ path: `driver ${driver.name}`, expected: 'contract version 1', value: driver.contract });
    }
  }
  const { broker } = brokerDriver;
  if (broker === undefined) problems.push(lacks('broker', brokerDriver));
  if (choice.results && choice.results.results === undefined) problems.push(lacks('results', choice.results));
  if (choice.schedules !== undefined && choice.schedules.schedules === undefined) {
    problems.push(lacks('schedules', choice.schedules));
  }
  if (broker === undefined || problems.length > 0) throw new ConfigurationError(problems);
  const results = resultDriver?.results;
  return {
    broker,
    results,
    revocations: brokerDriver.revocations ?? resultDriver?.revocations,
    schedules: scheduleDriver?.schedules,
    inspector: brokerDriver.inspector,
    atomicCompletion: broker.capabilities.atomicCompletion && (results === undefined || resultDriver === brokerDriver),
    atomicFire: scheduleDriver === brokerDriver && scheduleDriver?.schedules?.capabilities.atomicFire === true,
    drivers,
  };
}

function lacks(port: string, driver: Driver): ConfigurationProblem {
  return { path: port, expected: `a driver that offers ${port}`, value: driver.name };
}
