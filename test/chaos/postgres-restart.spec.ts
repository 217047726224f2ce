import { afterEach, beforeEach, describe, it } from 'vitest';
import { postgresBinaries, PostgresServer } from '../support/postgres-server.js';
import { Fleet } from './fleet.js';
import { survivesOutage } from './outage.js';

describe.skipIf(postgresBinaries === undefined)('[postgres] chaos while PostgreSQL itself restarts', () => {
  let server: PostgresServer;
  let fleet: Fleet;

  beforeEach(async () => {
    server = await PostgresServer.create();
    fleet = await Fleet.open({ kind: 'postgres', url: server.url, remove: () => server.remove() });
  });

  afterEach(() => fleet.close());

  // Away for less than a lease, and for longer: a worker that is alone settles even then what it has run.
  it.each([
    ['immediate', '60s'],
    ['fast', '60s'],
    ['immediate', '1s'],
  ] as const)(
    'a stop (%s) and a start under load, with a lease of %s, lose nothing, repeat nothing, and end no process',
    (mode, lease) => survivesOutage(fleet, { lease, stop: () => server.stop(mode), start: () => server.start() }),
    150_000,
  );
});
