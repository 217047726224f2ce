import { spawnSync } from 'node:child_process';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { postgresBinaries, PostgresServer } from './postgres-server.js';
import { answersAmqp, rabbitmqIsInstalled, RabbitmqServer } from './rabbitmq-server.js';
import { answersPing, redisIsInstalled, RedisServer } from './redis-server.js';

/**
 * The servers that tests need: given by the environment (`TEST_POSTGRES_URL`, `TEST_REDIS_URL`, `TEST_AMQP_URL`), found on their
 * default ports, or started from installed binaries; and a Python that has Celery (`TEST_PYTHON_CELERY`, default Debian's). What
 * cannot be had is skipped and told loudly at the end, or, where services are required (`CI` or `REQUIRE_SERVICES`), the run
 * fails.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const [postgres, redis, rabbitmq] = await Promise.all([findPostgres(), findRedis(), findRabbitmq()]);
  if (postgres.url !== undefined) process.env['TEST_POSTGRES_URL'] = postgres.url;
  else {
    missing('PostgreSQL', 'the suites below');
    // One that was given and does not answer must not be asked again by every test.
    delete process.env['TEST_POSTGRES_URL'];
  }
  if (redis.url !== undefined) process.env['TEST_REDIS_URL'] = redis.url;
  else {
    missing('Redis', 'packages/redis, and everything marked [redis]');
    delete process.env['TEST_REDIS_URL'];
  }
  if (rabbitmq.url !== undefined) process.env['TEST_AMQP_URL'] = rabbitmq.url;
  else {
    missing('RabbitMQ', 'packages/amqp');
    delete process.env['TEST_AMQP_URL'];
  }
  const python = process.env['TEST_PYTHON_CELERY'] ?? '/usr/bin/python3';
  delete process.env['TEST_PYTHON_CELERY'];
  if (imports(python, 'celery, redis, msgpack, yaml')) process.env['TEST_PYTHON_CELERY'] = python;
  else missing('Python with celery, redis, msgpack and yaml (Debian: python3-celery …)', 'test/interop');
  if (imports(python, 'django_celery_results, psycopg2')) process.env['TEST_PYTHON_DJANGO'] = python;
  else missing('Python with django-celery-results and psycopg2', 'test/interop/django.spec.ts');
  return async () => {
    await Promise.all([postgres.stop(), redis.stop(), rabbitmq.stop()]);
  };
}

interface Found {
  readonly url: string | undefined;
  stop(): Promise<void>;
}

async function findPostgres(): Promise<Found> {
  const candidates = [process.env['TEST_POSTGRES_URL'], 'postgres://postgres@127.0.0.1:5432/postgres'];
  for (const url of candidates) {
    if (url !== undefined && (await answers(url))) return { url, stop: () => Promise.resolve() };
  }
  return startPostgres();
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function startPostgres(): Promise<Found> {
  if (postgresBinaries === undefined) return { url: undefined, stop: () => Promise.resolve() };
  const server = await PostgresServer.create();
  return { url: server.url, stop: () => server.remove() };
}

async function findRedis(): Promise<Found> {
  const given = process.env['TEST_REDIS_URL'];
  const candidates = given === undefined ? ['redis://127.0.0.1:6379'] : [given, 'redis://127.0.0.1:6379'];
  for (const url of candidates) {
    const { hostname, port } = new URL(url);
    if (await answersPing(hostname, Number(port || 6_379))) return { url, stop: () => Promise.resolve() };
  }
  if (!redisIsInstalled) return { url: undefined, stop: () => Promise.resolve() };
  const server = await RedisServer.create();
  return { url: server.url, stop: () => server.remove() };
}

async function findRabbitmq(): Promise<Found> {
  const fallback = 'amqp://guest:guest@127.0.0.1:5672/';
  const given = process.env['TEST_AMQP_URL'];
  for (const url of given === undefined ? [fallback] : [given, fallback]) {
    const { hostname, port } = new URL(url);
    if (await answersAmqp(hostname, Number(port || 5_672))) return virtualHost(url);
  }
  if (!rabbitmqIsInstalled) return { url: undefined, stop: () => Promise.resolve() };
  const server = await RabbitmqServer.create();
  return { url: server.url, stop: () => server.remove() };
}

function imports(python: string, modules: string): boolean {
  return spawnSync(python, ['-c', `import ${modules}`], { stdio: 'ignore' }).status === 0;
}

/**
 * A virtual host of this run's own, where we may make one: delayed messages of another run, whose queues are gone, would
 * hold up ours for minutes.
 */
async function virtualHost(url: string): Promise<Found> {
  const name = `taskqueue-${randomUUID().slice(0, 8)}`;
  const user = decodeURIComponent(new URL(url).username || 'guest');
  try {
    await control('add_vhost', name);
    await control('set_permissions', '-p', name, user, '.*', '.*', '.*');
  } catch {
    return { url, stop: () => Promise.resolve() };
  }
  const own = new URL(url);
  own.pathname = `/${name}`;
  return { url: own.href, stop: () => control('delete_vhost', name) };
}

async function control(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('rabbitmqctl', [...args], { timeout: 30_000 });
}

function missing(service: string, what: string): void {
  if (process.env['CI'] !== undefined || process.env['REQUIRE_SERVICES'] !== undefined) {
    throw new Error(`${service} is required here, and it was neither found nor could it be started.`);
  }
  const notes = process.env['TEST_NOTES'];
  const line = `   ${service}: ${what}\n`;
  if (notes === undefined) process.stderr.write(line);
  else appendFileSync(join(notes, 'skipped.txt'), line);
}
