// What the programs of the chaos tests share: a queue on the stores that QUEUE_URL, RESULTS_URL and SCHEDULES_URL
// name, and the ledger.
import { appendFileSync } from 'node:fs';
import * as amqp from '@taskqueue/amqp';
import {
  composeStores,
  settingsFromEnvironment,
  silentLogger,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
} from '@taskqueue/core';
import * as redis from '@taskqueue/redis';
import * as typeorm from '@taskqueue/typeorm';

const QUIET = process.env.CHAOS_LOG === undefined;

/** The worker's, also in its children: who is killed is the worker. */
const PID = process.env.TASKQUEUE_POOL_CHILD?.startsWith('prefork') ? process.ppid : process.pid;

/** Each line is one write of a few bytes at the end of the file: whole, whoever is killed when. */
export function note(event) {
  appendFileSync(process.env.LEDGER, `${JSON.stringify({ ...event, pid: PID, at: Date.now() })}\n`);
}

export async function openQueue() {
  const { QUEUE_URL: url, RESULTS_URL: resultsUrl, SCHEDULES_URL: schedulesUrl } = process.env;
  const drivers = new Map([...new Set([url, resultsUrl, schedulesUrl])].map((one) => [one, driverFor(one)]));
  const logger = QUIET
    ? silentLogger
    : Object.fromEntries(
        ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'].map((level) => [
          level,
          (...args) => console.error(process.pid, level, ...args),
        ]),
      );
  const stores = composeStores({
    broker: drivers.get(url),
    results: drivers.get(resultsUrl),
    schedules: drivers.get(schedulesUrl),
  });
  await Promise.all(stores.drivers.map((one) => one.connect({ logger })));
  const settings = validateSettings(settingsFromEnvironment(process.env), {
    worker: { concurrency: 10, lease: '2s', shutdownGrace: '3s', logTasks: !QUIET, childEnvironment: ['LEDGER'] },
  });
  const registry = new TaskRegistry();
  const common = { stores, registry, settings, clock: systemClock, logger, random: Math.random };
  const close = () => Promise.all(stores.drivers.map((one) => one.close()));
  return { ...common, close, sender: new TaskSender(common) };
}

function driverFor(url) {
  if (url.startsWith('amqp')) return amqp.createDriver(url);
  return url.startsWith('redis') ? redis.createDriver(url) : typeorm.createDriver(url);
}
