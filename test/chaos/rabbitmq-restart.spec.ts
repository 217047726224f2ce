import { afterEach, beforeEach, describe, it } from 'vitest';
import { rabbitmqIsInstalled, RabbitmqServer } from '../support/rabbitmq-server.js';
import { Fleet } from './fleet.js';
import type { Outage } from './outage.js';
import { survivesOutage } from './outage.js';
import { rabbitmqStore } from './store.js';

type StopAndStart = (server: RabbitmqServer) => Pick<Outage, 'stop' | 'start'>;

const KILL: StopAndStart = (server) => ({ stop: () => server.kill(), start: () => server.start() });

/** Politely: clients are told. */
const STOP: StopAndStart = (server) => ({
  stop: async () => void (await server.control('stop_app')),
  start: async () => void (await server.control('start_app')),
});

describe.skipIf(!rabbitmqIsInstalled)('[rabbitmq] chaos while RabbitMQ itself restarts', () => {
  let server: RabbitmqServer;
  let fleet: Fleet;

  beforeEach(async () => {
    server = await RabbitmqServer.create();
    fleet = await Fleet.open(await rabbitmqStore(server));
  }, 90_000);

  afterEach(() => fleet.close());

  // The lease is the connection; the setting is how often the worker looks whether it stands.
  it.each([
    ['kill -9', KILL, '60s'],
    ['stop_app', STOP, '60s'],
    ['kill -9', KILL, '1s'],
  ] as const)(
    'a stop (%s) and a start under load lose nothing, repeat only what they cut down, and end no process',
    (_name, how, lease) => survivesOutage(fleet, { lease, repeats: true, ...how(server) }),
    200_000,
  );
});
