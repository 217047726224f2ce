import type { OpenedDatabase, OpenRequest } from '../opened-database.js';
import { keepAliveModule } from '../opened-database.js';
import { channelOf } from './postgres-dialect.js';
import type { ListeningClient } from './postgres-listener.js';
import { PostgresListener } from './postgres-listener.js';
import { PostgresStore } from './postgres-store.js';

/** What pg's Client says of itself once its options, its URL and the environment are put together. */
interface ConnectionFacts extends ListeningClient {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: unknown;
  readonly ssl: unknown;
}

type ClientClass = new (config: unknown) => ConnectionFacts;

/** Opens a PostgreSQL data source that is initialized. */
export async function openPostgres(request: OpenRequest): Promise<OpenedDatabase> {
  const { dataSource, logger, onChange } = request;
  const store = new PostgresStore(dataSource, logger);
  await store.open();
  const { Client } = (dataSource.driver as unknown as { postgres: { Client: ClientClass } }).postgres;
  const config = store.pool.options;
  const facts = new Client(config);
  const connection = await connectionOf(facts);
  const listener = new PostgresListener({
    Client,
    config,
    channel: channelOf(store.schema),
    logger,
    onNotification: onChange,
  });
  listener.start();
  const { dialect } = store;
  const sql = `update ${dialect.table('consumer')} set lease_until = ${dialect.now} + $1::bigint where id = $2::bigint returning id`;
  return {
    store,
    keepAlive: (consumer) => keepAliveModule({ kind: 'postgres', connection, sql, consumer }),
    describe: () => `postgres://${facts.host}:${facts.port}/${facts.database}`,
    close: async () => {
      await listener.stop();
      await store.close();
    },
  };
}

/** As a thread can be given it: a password function is asked here, functions of the TLS options stay behind. */
async function connectionOf(facts: ConnectionFacts): Promise<Record<string, unknown>> {
  const { host, port, user, database, password, ssl } = facts;
  const secret: unknown = typeof password === 'function' ? await (password as () => unknown)() : password;
  return { host, port, user, database, ...(secret === null ? {} : { password: secret }), ssl: cloneable(ssl) };
}

function cloneable(ssl: unknown): unknown {
  if (typeof ssl !== 'object' || ssl === null) return ssl;
  const keys = Object.getOwnPropertyNames(ssl);
  const values = ssl as Record<string, unknown>;
  return Object.fromEntries(keys.filter((key) => typeof values[key] !== 'function').map((key) => [key, values[key]]));
}
