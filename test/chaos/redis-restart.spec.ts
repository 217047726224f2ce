import { afterEach, beforeEach, describe, it } from 'vitest';
import { redisIsInstalled, RedisServer } from '../support/redis-server.js';
import { Fleet } from './fleet.js';
import { survivesOutage } from './outage.js';
import { DURABLE_REDIS, redisStore } from './store.js';

describe.skipIf(!redisIsInstalled)('[redis] chaos while Redis itself restarts, with appendfsync always', () => {
  let server: RedisServer;
  let fleet: Fleet;

  beforeEach(async () => {
    server = await RedisServer.create(DURABLE_REDIS);
    fleet = await Fleet.open(await redisStore(server));
  });

  afterEach(() => fleet.close());

  // Away for less than a lease, and for longer: a worker that is alone settles even then what it has run.
  it.each([
    ['SIGKILL', '60s'],
    ['SIGTERM', '60s'],
    ['SIGKILL', '1s'],
  ] as const)(
    'a stop (%s) and a start under load, with a lease of %s, lose nothing, repeat nothing, and end no process',
    (signal, lease) => survivesOutage(fleet, { lease, stop: () => server.signal(signal), start: () => server.start() }),
    150_000,
  );
});
