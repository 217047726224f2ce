import { forgettingInspector } from './forgetting-inspector.js';
import type { BarrierStore } from './barrier-store.js';
import type { Broker } from './broker.js';
import type { ChordStore } from './chord-store.js';
import type { Driver } from './driver.js';
import type { LockStore } from './lock-store.js';
import type { PubSub } from './pub-sub.js';
import type { QueueInspector } from './queue-inspector.js';
import type { ResultBackend } from './result-backend.js';
import type { RevocationRequest, RevocationStore } from './revocations.js';
import type { ScheduleStore } from './schedule-store.js';
import type { ConfigurationProblem } from '../errors/errors.js';
import { ConfigurationError } from '../errors/errors.js';

/** Which driver serves which port. One driver may serve all. */
export interface DriverChoice {
  readonly broker: Driver;
  /** Default: the broker's driver, where it can keep results. `rpc`: the broker sends them to callers. `false`: keep none. */
  readonly results?: Driver | 'rpc' | false;
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
  /** Of the results' driver, then the broker's, then the schedules': whichever has it. */
  readonly locks: LockStore | undefined;
  /** Of the results' driver, then the broker's, because what a barrier lets through reads the members' results. */
  readonly barriers: BarrierStore | undefined;
  /** Of the results' driver, because Celery's result backends count there. */
  readonly chords: ChordStore | undefined;
  /** Of the broker's driver, because Celery's workers and monitors speak there. */
  readonly pubsub: PubSub | undefined;
  /** Settlement, result and follow-up messages are one step. */
  readonly atomicCompletion: boolean;
  /** Whoever asks for the result of a task whose message still waits is told that it does. */
  readonly showsWaiting: boolean;
  /** What becomes of a revoked task's message that still waits; see `RevocationRequest.waiting`. */
  readonly revokedWaiting: RevocationRequest['waiting'];
  /** The schedule store publishes together with its advance. */
  readonly atomicFire: boolean;
  /** Each driver once. */
  readonly drivers: readonly Driver[];
}

/** Puts the ports together. Throws a ConfigurationError for a driver that lacks what it is chosen for. */
export function composeStores(choice: DriverChoice): Stores {
  const problems: ConfigurationProblem[] = [];
  const { broker: brokerDriver } = choice;
  const isRpc = choice.results === 'rpc';
  const resultDriver =
    choice.results === false || choice.results === 'rpc' ? undefined : (choice.results ?? brokerDriver);
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
  if (choice.results === 'rpc') {
    if (brokerDriver.rpc === undefined) problems.push(lacks('results by rpc', brokerDriver));
  } else if (choice.results && choice.results.results === undefined) problems.push(lacks('results', choice.results));
  if (choice.schedules !== undefined && choice.schedules.schedules === undefined) {
    problems.push(lacks('schedules', choice.schedules));
  }
  if (broker === undefined || problems.length > 0) throw new ConfigurationError(problems);
  const results = isRpc ? brokerDriver.rpc : resultDriver?.results;
  const revocationDriver = [brokerDriver, resultDriver, scheduleDriver].find(
    (driver) => driver?.revocations !== undefined,
  );
  return {
    broker,
    results,
    revocations: revocationDriver?.revocations,
    revokedWaiting: results === undefined ? 'drop' : revocationDriver === resultDriver ? 'record' : 'leave',
    schedules: scheduleDriver?.schedules,
    inspector: inspectorOf(brokerDriver, resultDriver === brokerDriver ? undefined : results),
    locks: resultDriver?.locks ?? brokerDriver.locks ?? scheduleDriver?.locks,
    barriers: resultDriver?.barriers ?? brokerDriver.barriers,
    chords: resultDriver?.chords,
    pubsub: brokerDriver.pubsub,
    atomicCompletion: broker.capabilities.atomicCompletion && (results === undefined || resultDriver === brokerDriver),
    showsWaiting: results?.list !== undefined && resultDriver === brokerDriver,
    atomicFire: scheduleDriver === brokerDriver && scheduleDriver?.schedules?.capabilities.atomicFire === true,
    drivers,
  };
}

function inspectorOf({ inspector }: Driver, elsewhere: ResultBackend | undefined): QueueInspector | undefined {
  return inspector === undefined || elsewhere === undefined ? inspector : forgettingInspector(inspector, elsewhere);
}

function lacks(port: string, driver: Driver): ConfigurationProblem {
  return { path: port, expected: `a driver that offers ${port}`, value: driver.name };
}
