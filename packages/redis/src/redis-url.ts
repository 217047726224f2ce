import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis';
import type { ConfigurationProblem } from '@taskqueue/core';
import { celeryTls, ConfigurationError, redactUrl } from '@taskqueue/core';
import type { RedisPriorities } from './kombu-priority.js';
import type { RedisBodies } from './redis-options.js';

/** Every scheme of a URL that this package understands. */
export const REDIS_SCHEMES = [
  'redis',
  'rediss',
  'redis+socket',
  'redis+sentinel',
  'rediss+sentinel',
  'redis+cluster',
  'rediss+cluster',
] as const;

/** Where a server is, and what a URL says of the driver besides. */
export interface LocatedRedis {
  readonly redis: RedisOptions;
  readonly cluster: { readonly nodes: readonly ClusterNode[]; readonly options: ClusterOptions } | undefined;
  readonly keyPrefix?: string;
  readonly priorities?: RedisPriorities;
  readonly bodies?: RedisBodies;
  readonly eviction?: 'refuse' | 'warn';
}

const DEFAULT_PORT = 6_379;
const SENTINEL_PORT = 26_379;

/**
 * The parts of a URL. Parameters that are not known are errors, so that a misspelt one is not passed over. Throws
 * ConfigurationError.
 */
export function parseRedisUrl(url: string): LocatedRedis {
  const match = /^(rediss?)(?:\+(socket|sentinel|cluster))?:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(url);
  if (match === null) throw invalid('url', `one of ${REDIS_SCHEMES.join(', ')} with ://host:port/database`, url);
  const [, scheme, kind, authority = '', path = '', query = ''] = match;
  const parameters = new Parameters(new URLSearchParams(query), url);
  const socket = kind === 'socket';
  const { username, password, hosts } = parseAuthority(authority, url);
  const redis: RedisOptions = {
    ...(username === '' ? {} : { username }),
    ...withPassword(password, socket ? parameters.take('password') : undefined),
    ...database(socket ? parameters.take('virtual_host', 'db') : path.replace(/^\/+/, ''), url),
    ...(scheme === 'rediss' ? { tls: celeryTls((name) => parameters.take(name), invalid) } : {}),
  };
  const located = locate(kind, { redis, hosts, path, parameters, url });
  const result = { ...located, ...parameters.ofDriver() };
  parameters.finish();
  return result;
}

interface UrlParts {
  readonly redis: RedisOptions;
  readonly hosts: readonly string[];
  readonly path: string;
  readonly parameters: Parameters;
  readonly url: string;
}

function locate(kind: string | undefined, parts: UrlParts): LocatedRedis {
  const { redis, hosts, path, parameters, url } = parts;
  switch (kind) {
    case 'socket':
      if (path === '') throw invalid('url', 'redis+socket:///path/to/redis.sock', url);
      return { redis: { ...redis, path: decodeURIComponent(path) }, cluster: undefined };
    case 'sentinel':
      return { redis: sentinel(parts), cluster: undefined };
    case 'cluster': {
      const nodes = hosts.map((host) => address(host, DEFAULT_PORT, url));
      return { redis, cluster: { nodes, options: { redisOptions: redis } } };
    }
    default: {
      if (hosts.length > 1) throw invalid('url', 'one host; for several use redis+sentinel or redis+cluster', url);
      const timeout = parameters.take('socket_connect_timeout');
      const seconds = timeout === undefined ? {} : { connectTimeout: Number(timeout) * 1_000 };
      if (timeout !== undefined && !(Number(timeout) > 0)) {
        throw invalid('url.socket_connect_timeout', 'seconds, more than 0', timeout);
      }
      return { redis: { ...redis, ...address(hosts[0] ?? '', DEFAULT_PORT, url), ...seconds }, cluster: undefined };
    }
  }
}

function sentinel({ redis, hosts, parameters, url }: UrlParts): RedisOptions {
  const name = parameters.take('master', 'master_name');
  if (name === undefined) {
    throw invalid(
      'url',
      'the name of the primary as Sentinel knows it: redis+sentinel://host:26379/0?master=name',
      url,
    );
  }
  const sentinelUsername = parameters.take('sentinel_username');
  const sentinelPassword = parameters.take('sentinel_password');
  return {
    ...redis,
    name,
    sentinels: hosts.map((host) => address(host, SENTINEL_PORT, url)),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(redis.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: redis.tls }),
  };
}

function parseAuthority(authority: string, url: string): { username: string; password: string; hosts: string[] } {
  const at = authority.lastIndexOf('@');
  const [username = '', ...rest] = at < 0 ? [] : authority.slice(0, at).split(':');
  const hosts = authority.slice(at + 1).split(',');
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(rest.join(':')), hosts };
  } catch {
    throw invalid('url', 'user and password percent-encoded', url);
  }
}

/** `host`, `host:port`, `[::1]:port`, or nothing for this machine. */
function address(text: string, defaultPort: number, url: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (match === null || port < 1 || port > 65_535) throw invalid('url', 'hosts as host:port', url);
  return { host: match[1] ?? (match[2] === '' ? '127.0.0.1' : (match[2] as string)), port };
}

function withPassword(password: string, fromQuery: string | undefined): { password?: string } {
  const given = password === '' ? fromQuery : password;
  return given === undefined ? {} : { password: given };
}

function database(text: string | undefined, url: string): { db?: number } {
  if (text === undefined || text === '') return {};
  if (!/^\d{1,5}$/.test(text)) throw invalid('url', 'the number of a database after the host', url);
  return { db: Number(text) };
}

/** Takes parameters one by one, and complains of what nobody took. */
class Parameters {
  constructor(
    private readonly search: URLSearchParams,
    private readonly url: string,
  ) {}

  take(...names: string[]): string | undefined {
    let value: string | undefined;
    for (const name of names) {
      value ??= this.search.get(name) ?? undefined;
      this.search.delete(name);
    }
    return value;
  }

  /** Options of the driver; their values are checked with the other options. */
  ofDriver(): Pick<LocatedRedis, 'keyPrefix' | 'priorities' | 'bodies' | 'eviction'> {
    const keyPrefix = this.take('keyPrefix', 'global_keyprefix');
    const priorities = this.take('priorities') as LocatedRedis['priorities'];
    const bodies = this.take('bodies') as LocatedRedis['bodies'];
    const eviction = this.take('eviction') as LocatedRedis['eviction'];
    return {
      ...(keyPrefix === undefined ? {} : { keyPrefix }),
      ...(priorities === undefined ? {} : { priorities }),
      ...(bodies === undefined ? {} : { bodies }),
      ...(eviction === undefined ? {} : { eviction }),
    };
  }

  finish(): void {
    const unknown = [...this.search.keys()];
    if (unknown.length > 0) throw invalid('url', `no parameter ${unknown.join(', ')}`, this.url);
  }
}

function invalid(path: string, expected: string, value: string): ConfigurationError {
  const problem: ConfigurationProblem = {
    path,
    expected,
    value: redactUrl(value.replace(/^([a-z+]+:\/\/).*@/i, '$1***@')),
    remedy: 'See the README of @taskqueue/redis.',
  };
  return new ConfigurationError([problem]);
}
