import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis';
import type { ConfigurationProblem } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';
import type { RedisPriorities } from './kombu-priority.js';
import { PRIORITY_SCHEMES } from './kombu-priority.js';
import type { LocatedRedis } from './redis-url.js';
import { parseRedisUrl } from './redis-url.js';

/** Where Redis is, and how to use it. Exactly one of `url`, `redis` and `cluster`. */
export interface RedisDriverOptions {
  /**
   * `redis://user:password@host:6379/0`, `rediss://…` with TLS, `redis+socket:///path?db=0`,
   * `redis+sentinel://user:password@host1:26379,host2:26379/0?master=name`, `redis+cluster://host1:7000,host2:7000`;
   * `rediss+sentinel` and `rediss+cluster` with TLS. See the README for the parameters.
   */
  readonly url?: string;
  /** Options of ioredis for one server or for Sentinel. What concerns time-outs and retries is set by the driver. */
  readonly redis?: RedisOptions;
  /** Nodes of a cluster to start from, and options of ioredis. */
  readonly cluster?: { readonly nodes: readonly ClusterNode[]; readonly options?: ClusterOptions };
  /** Put before every key and channel, as Kombu's `global_keyprefix`. Default none. */
  readonly keyPrefix?: string;
  /**
   * What was given no priority (0) goes to Kombu's first list, in one line with what Python sends without one.
   * `own` (default): priorities 9 to 1 are taken before it, from Kombu's other lists, which Python workers take after it.
   * `kombu`: they are taken in Kombu's order here too, for queues on which Python uses priorities: 9 and 8 in that line, 7
   * to 1 after it. `none`: everything is in that line; priorities are not told apart.
   */
  readonly priorities?: RedisPriorities;
  /**
   * `text` (default): a body that is text, as JSON is, is sent as it is. `base64`: as Kombu itself sends it, for clients of
   * other languages that read nothing else; it takes a third more memory and time.
   */
  readonly bodies?: RedisBodies;
  /**
   * What to do about a server that may evict keys when its memory is full, tasks among them (`maxmemory-policy` other
   * than `noeviction`): `refuse` (default) to connect, or `warn` in the log.
   */
  readonly eviction?: 'refuse' | 'warn';
}

/** The options in one form, checked. */
export interface ResolvedRedisOptions {
  readonly redis: RedisOptions;
  readonly cluster: LocatedRedis['cluster'];
  readonly keyPrefix: string;
  readonly priorities: RedisPriorities;
  readonly bodies: RedisBodies;
  readonly eviction: 'refuse' | 'warn';
}

export type RedisBodies = 'text' | 'base64';

/** Throws ConfigurationError with every problem. */
export function resolveOptions(options: RedisDriverOptions): ResolvedRedisOptions {
  const given = [options.url, options.redis, options.cluster].filter((one) => one !== undefined);
  if (given.length !== 1) {
    const remedy = 'Give the URL of the server, or options for ioredis.';
    const value = Object.keys(options);
    throw new ConfigurationError([
      { path: 'redisDriver', expected: 'exactly one of url, redis and cluster', value, remedy },
    ]);
  }
  const located = options.url === undefined ? locate(options) : parseRedisUrl(options.url);
  const resolved: ResolvedRedisOptions = {
    redis: located.redis,
    cluster: located.cluster,
    keyPrefix: options.keyPrefix ?? located.keyPrefix ?? '',
    priorities: options.priorities ?? located.priorities ?? 'own',
    bodies: options.bodies ?? located.bodies ?? 'text',
    eviction: options.eviction ?? located.eviction ?? 'refuse',
  };
  check(resolved, options);
  return resolved;
}

/** Host and database for logs, without credentials. */
export function describeLocation({ redis, cluster }: ResolvedRedisOptions): string {
  if (cluster !== undefined) return `redis+cluster://${cluster.nodes.map(describeNode).join(',')}`;
  const database = `/${redis.db ?? 0}`;
  if (redis.sentinels !== undefined) {
    const sentinels = redis.sentinels.map((one) => `${one.host ?? '127.0.0.1'}:${one.port ?? 26_379}`);
    return `redis+sentinel://${sentinels.join(',')}${database}?master=${redis.name ?? ''}`;
  }
  if (redis.path !== undefined) return `redis+socket://${redis.path}${database}`;
  const scheme = redis.tls === undefined ? 'redis' : 'rediss';
  return `${scheme}://${redis.host ?? '127.0.0.1'}:${redis.port ?? 6_379}${database}`;
}

function locate(options: RedisDriverOptions): LocatedRedis {
  if (options.cluster === undefined) return { redis: options.redis ?? {}, cluster: undefined };
  const { nodes, options: cluster = {} } = options.cluster;
  return { redis: cluster.redisOptions ?? {}, cluster: { nodes, options: cluster } };
}

function check(resolved: ResolvedRedisOptions, options: RedisDriverOptions): void {
  const problems: ConfigurationProblem[] = [];
  const { keyPrefix, redis, cluster } = resolved;
  if (typeof keyPrefix !== 'string' || keyPrefix.length > 128 || !/^[\x21-\x7a|~]*$/.test(keyPrefix)) {
    problems.push({
      path: 'keyPrefix',
      expected: 'up to 128 visible ASCII characters without braces',
      value: keyPrefix,
    });
  }
  if (!Object.hasOwn(PRIORITY_SCHEMES, resolved.priorities)) {
    problems.push({ path: 'priorities', expected: 'own, kombu or none', value: resolved.priorities });
  }
  if (resolved.bodies !== 'text' && resolved.bodies !== 'base64') {
    problems.push({ path: 'bodies', expected: 'text or base64', value: resolved.bodies });
  }
  if (resolved.eviction !== 'refuse' && resolved.eviction !== 'warn') {
    problems.push({ path: 'eviction', expected: 'refuse or warn', value: resolved.eviction });
  }
  if (
    redis.keyPrefix !== undefined ||
    (cluster?.options as { keyPrefix?: string } | undefined)?.keyPrefix !== undefined
  ) {
    const remedy = 'Use the option keyPrefix of the driver: ioredis does not put its own before the names in scripts.';
    problems.push({ path: 'redis.keyPrefix', expected: 'not to be set', value: redis.keyPrefix, remedy });
  }
  if (cluster !== undefined && (redis.db ?? 0) !== 0) {
    problems.push({ path: 'redis.db', expected: '0: a cluster has one database', value: redis.db });
  }
  if (options.cluster !== undefined && options.cluster.nodes.length === 0) {
    problems.push({ path: 'cluster.nodes', expected: 'at least one node', value: [] });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function describeNode(node: ClusterNode): string {
  if (typeof node === 'number') return `127.0.0.1:${node}`;
  if (typeof node === 'string') return node.split('@').at(-1) ?? '';
  return `${node.host ?? '127.0.0.1'}:${node.port ?? 6_379}`;
}
