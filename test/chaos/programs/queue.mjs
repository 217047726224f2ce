// What the programs of the chaos tests share: a queue on the store that QUEUE_URL names, and the ledger.
import { appendFileSync } from 'node:fs';
import {
  composeStores,
  settingsFromEnvironment,
  silentLogger,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
} from '@taskqueue/core';
import { createDriver } from '@taskqueue/typeorm';

const QUIET = process.env.CHAOS_LOG === undefined;

/** Each line is one write of a few bytes at the end of the file: whole, whoever is killed when. */
export function note(event) {
  appendFileSync(process.env.LEDGER, `${JSON.stringify({ ...event, pid: process.pid, at: Date.now() })}\n`);
}

export async function openQueue() {
  const driver = createDriver(process.env.QUEUE_URL);
  const logger = QUIET
    ? silentLogger
    : Object.fromEntries(
        ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'].map((level) => [
          level,
          (...args) => console.error(process.pid, level, ...args),
        ]),
      );
  await driver.connect({ logger });
  const stores = composeStores({ broker: driver });
  const settings = validateSettings(
    { worker: { concurrency: 10, lease: '2s', shutdownGrace: '3s', logTasks: !QUIET } },
    settingsFromEnvironment(process.env),
  );
  const registry = new TaskRegistry();
  const common = { stores, registry, settings, clock: systemClock, logger, random: Math.random };
  return { ...common, driver, sender: new TaskSender(common) };
}
