import { createDatabase } from '../support/databases.js';
import { RabbitmqServer } from '../support/rabbitmq-server.js';
import { RedisServer } from '../support/redis-server.js';

export type StoreKind = 'sqlite' | 'postgres' | 'redis' | 'rabbitmq';

/** Where a fleet has its messages, results and schedules. */
export interface Store {
  readonly kind: StoreKind;
  /** Of the broker, as drivers take it. */
  readonly url: string;
  /** Of the results and of the schedules, where the broker's store keeps none. */
  readonly resultsUrl?: string;
  readonly schedulesUrl?: string;
  remove(): Promise<void>;
}

/** What was accepted survives a crash of the server. */
export const DURABLE_REDIS = ['--appendonly', 'yes', '--appendfsync', 'always'] as const;

/** A fresh store of a test's own. */
export async function openStore(kind: StoreKind): Promise<Store> {
  if (kind === 'redis') return redisStore(await RedisServer.create(DURABLE_REDIS));
  if (kind === 'rabbitmq') return rabbitmqStore(await RabbitmqServer.create());
  return createDatabase(kind);
}

/** On a server that goes away with the store. */
export async function rabbitmqStore(server: RabbitmqServer): Promise<Store> {
  const database = await createDatabase('sqlite');
  return {
    kind: 'rabbitmq',
    url: server.url,
    resultsUrl: database.url,
    schedulesUrl: database.url,
    remove: async () => {
      await Promise.all([server.remove(), database.remove()]);
    },
  };
}

/** On a server that goes away with the store. Redis keeps no schedules, so they are in an SQLite file. */
export async function redisStore(server: RedisServer): Promise<Store> {
  const schedules = await createDatabase('sqlite');
  return {
    kind: 'redis',
    url: server.url,
    schedulesUrl: schedules.url,
    remove: async () => {
      await Promise.all([server.remove(), schedules.remove()]);
    },
  };
}
