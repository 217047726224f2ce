// A fresh, empty store for each run.
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from './ioredis.mjs';
import pg from 'pg';

const postgres = process.env.TEST_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';

export const sqliteDatabases = {
  answer: async () => true,
  create: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-bench-'));
    return {
      url: `sqlite:${join(folder, 'queue.sqlite')}`,
      remove: async () => rmSync(folder, { recursive: true, force: true }),
    };
  },
};

export const postgresDatabases = {
  answer: () =>
    admin('select 1').then(
      () => true,
      () => false,
    ),
  create: async () => {
    const name = `taskqueue_bench_${randomUUID().slice(0, 8)}`;
    await admin(`create database "${name}"`);
    const url = new URL(postgres);
    url.pathname = `/${name}`;
    // What the run before has left to be written is written now, not on this run's time.
    await admin('checkpoint');
    return {
      url: url.href,
      // A peer that relies on statistics shall not wait for autovacuum to find them.
      settle: () => admin('analyze', url.href),
      remove: () => admin(`drop database if exists "${name}" with (force)`),
    };
  },
};

let redis;

/** A server of the benchmarks' own, without persistence, because runs begin with an empty one. */
export const redisDatabases = {
  answer: async () => {
    const port = await freePort();
    const server = spawn('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no'], {
      stdio: 'ignore',
    });
    // Where there is no such program, this rejects.
    const started = await once(server, 'spawn').then(
      () => true,
      () => false,
    );
    if (!started) return false;
    const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    await client.ping();
    redis = { server, client, url: `redis://127.0.0.1:${port}/0` };
    return true;
  },
  create: async () => {
    await redis.client.flushall('SYNC');
    await redis.client.script('FLUSH');
    return { url: redis.url, remove: async () => undefined, usage: redisUsage };
  },
  close: async () => {
    redis.client.disconnect();
    redis.server.kill();
    await once(redis.server, 'exit');
  },
};

const rabbitmq = process.env.TEST_AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/';
const rabbitmqctl = (...args) => promisify(execFile)('rabbitmqctl', args);

/** A virtual host for each run, which only the server's own program can make. */
export const rabbitmqDatabases = {
  answer: () =>
    rabbitmqctl('list_vhosts').then(
      () => true,
      () => false,
    ),
  create: async () => {
    const vhost = `taskqueue-bench-${randomUUID().slice(0, 8)}`;
    const url = new URL(rabbitmq);
    await rabbitmqctl('add_vhost', vhost);
    await rabbitmqctl('set_permissions', '-p', vhost, url.username || 'guest', '.*', '.*', '.*');
    url.pathname = `/${vhost}`;
    return { url: url.href, remove: () => rabbitmqctl('delete_vhost', vhost) };
  },
};

/** Commands done so far, those inside scripts included, and memory used. */
async function redisUsage() {
  const stats = await redis.client.info('commandstats');
  const memory = await redis.client.info('memory');
  const calls = [...stats.matchAll(/calls=(\d+)/g)].map(([, count]) => Number(count));
  return {
    commands: calls.reduce((sum, count) => sum + count, 0),
    bytes: Number(/used_memory:(\d+)/.exec(memory)[1]),
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function admin(statement, url = postgres) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}
