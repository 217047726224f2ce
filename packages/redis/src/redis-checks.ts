import type { Redis } from 'ioredis';
import type { ConfigurationProblem, Logger } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import { sendCommand } from './redis-connection.js';
import { isDenied, redisError } from './redis-errors.js';
import type { RedisKeys } from './redis-keys.js';

/** `LMPOP` would be 7.0; `SMISMEMBER`, `RPOP` with a count and `PXAT` are 6.2. */
const OLDEST_VERSION = [6, 2] as const;
const SHORTEST_BLOCK_SECONDS = 0.001;

export interface ServerCheckOptions {
  readonly connection: RedisConnection;
  readonly eviction: 'refuse' | 'warn';
  readonly logger: Logger;
}

/**
 * What is wrong with a server from the start: too old, or allowed to evict tasks. Throws ConfigurationError with all
 * of it. What the user may not ask is not checked, and said.
 */
export async function checkServers({ connection, eviction, logger }: ServerCheckOptions): Promise<void> {
  const problems: ConfigurationProblem[] = [];
  for (const server of connection.servers()) {
    const info = await serverInfo(server, logger);
    const version = info.get('redis_version');
    if (version !== undefined && isTooOld(version)) {
      const remedy = 'Upgrade the server.';
      problems.push({
        path: 'redis version',
        expected: OLDEST_VERSION.join('.') + ' or newer',
        value: version,
        remedy,
      });
    }
    const policy = info.get('maxmemory_policy');
    if (policy === undefined || policy === 'noeviction') continue;
    if (eviction === 'refuse') problems.push(evicts(policy));
    else logger.warn(`Redis may evict tasks: maxmemory-policy is ${policy}, and should be noeviction.`, 'TaskQueue');
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Tries what a worker does to these queues. Throws ConfigurationError that names the commands which are not allowed. */
export async function checkPermissions(
  connection: RedisConnection,
  keys: RedisKeys,
  queues: readonly string[],
): Promise<void> {
  const problems: ConfigurationProblem[] = [];
  await Promise.all(
    queues.map(async (name) => {
      const queue = keys.queue(name);
      const probe = `${queue.leasedPrefix}probe`;
      try {
        const missing = (await connection.run('permissions', [...queue.ready, probe])) as string[];
        if (name === queues[0] && !(await maySleep(connection, probe))) missing.push('BZPOPMIN');
        if (missing.length > 0) problems.push(denies(name, [...new Set(missing)].join(', ')));
      } catch (error) {
        if (!(error instanceof Error) || !isDenied(error.message)) throw error;
        problems.push(denies(name, error.message));
      }
    }),
  );
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** A script cannot try what blocks. For the first queue only, as it holds up the connection. */
async function maySleep(connection: RedisConnection, probe: string): Promise<boolean> {
  try {
    await connection.command('bzpopmin', probe, SHORTEST_BLOCK_SECONDS);
    return true;
  } catch (error) {
    if (!(error instanceof Error) || !isDenied(error.message)) throw error;
    return false;
  }
}

async function serverInfo(server: Redis, logger: Logger): Promise<ReadonlyMap<string, string>> {
  try {
    const sections = await Promise.all([
      sendCommand(server, 'info', ['server']),
      sendCommand(server, 'info', ['memory']),
    ]);
    const lines = sections.flatMap((section) => String(section).split(/\r?\n/));
    return new Map(lines.map((line) => [line.split(':', 1)[0] as string, line.slice(line.indexOf(':') + 1)]));
  } catch (error) {
    if (!(error instanceof Error) || !isDenied(error.message)) throw redisError(error, true);
    logger.warn('The Redis user may not use INFO: version and maxmemory-policy are not checked.', 'TaskQueue');
    return new Map();
  }
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]);
}

function evicts(policy: string): ConfigurationProblem {
  return {
    path: 'redis maxmemory-policy',
    expected: 'noeviction: otherwise tasks are deleted when the memory is full',
    value: policy,
    remedy: "Set it in the server's configuration, or pass eviction: 'warn' if you accept to lose tasks.",
  };
}

function denies(queue: string, what: string): ConfigurationProblem {
  return {
    path: `redis user, queue ${queue}`,
    expected: 'permission for all commands of a worker',
    value: `no permission for ${what}`,
    remedy: 'Grant them with ACL SETUSER; docs/redis.md has the rules for a worker.',
  };
}
