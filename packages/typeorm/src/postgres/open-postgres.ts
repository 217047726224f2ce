import type { OpenedDatabase, OpenRequest } from '../opened-database.js';
import { keepAliveModule } from '../opened-database.js';
import { channelOf } from './postgres-dialect.js';
import type { ListeningClient } from './postgres-listener.js';
import { PostgresListener } from './postgres-listener.js';
import type { PgPool } from './postgres-store.js';
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

/** The parts of TypeORM's driver that are used. */
interface PostgresParts {
  readonly master: PgPool;
  readonly postgres: { readonly Client: ClientClass; readonly Pool: new (config: PgPool['options']) => PgPool };
}

/** Two claims and settlements, two publications, and something to spare; idle ones are closed. */
const OWN_CONNECTIONS = 6;

/** Opens a PostgreSQL data source that is initialized. */
export async function openPostgres(request: OpenRequest): Promise<OpenedDatabase> {
  const { dataSource, logger, onChange } = request;
  const { master, postgres } = dataSource.driver as unknown as PostgresParts;
  const { Client } = postgres;
  const config = master.options;
  const own = request.options.url === undefined ? new postgres.Pool(ownPool(config)) : undefined;
  const store = new PostgresStore(dataSource, own ?? master, logger);
  await store.open();
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
      await own?.end();
    },
  };
}

/**
 * The application's pool may be held by its handlers, each of which waits for a call of ours inside its transaction: from
 * the same pool we would wait for them and they for us. So beside an application's data source we have connections of our
 * own.
 */
function ownPool(config: PgPool['options']): PgPool['options'] {
  // pg hides the password from those who copy its options.
  return { ...config, password: config['password'], max: OWN_CONNECTIONS, min: 0 };
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
