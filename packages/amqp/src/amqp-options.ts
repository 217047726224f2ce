import type { ConnectionOptions } from 'node:tls';
import type { ConfigurationProblem } from '@taskqueue/core';
import { ConfigurationError, redactUrl } from '@taskqueue/core';
import type { AmqpHost, LocatedAmqp } from './amqp-url.js';
import { parseAmqpUrl } from './amqp-url.js';

/** Kinds of queues; `quorum` ones are replicated. */
export type AmqpQueueType = 'classic' | 'quorum';

/** Where RabbitMQ is, and how to use it. What is given here wins over the same in the URL. */
export interface AmqpDriverOptions {
  /**
   * `amqp://user:password@host:5672/vhost`, `amqps://…` with TLS; `host1:5672,host2:5672` for the nodes of a cluster.
   * The other options may be parameters of it. Default `amqp://guest:guest@127.0.0.1:5672/`.
   */
  readonly url?: string;
  /** Nodes of a cluster, tried in turn. Instead of those in the URL. */
  readonly hosts?: readonly AmqpHost[];
  readonly vhost?: string;
  readonly username?: string;
  readonly password?: string;
  /** Options of node's TLS; makes the connection one with TLS. */
  readonly tls?: ConnectionOptions;
  /** A link that is silent for two to three times as long is given up. Default 5. */
  readonly heartbeatSeconds?: number;
  /** Default 5 000. */
  readonly connectTimeoutMs?: number;
  /**
   * How long a publication waits while the broker blocks publishers because memory or disk is short. 0: it fails at once.
   * Default 5 000.
   */
  readonly blockedTimeoutMs?: number;
  /** How long to wait for the broker's confirmation of a message, since it confirmed one of the same queue. Default 30 000. */
  readonly confirmTimeoutMs?: number;
  /**
   * What `consumer_timeout` is in rabbitmq.conf: the server does not tell. A worker whose tasks may run for longer warns when
   * it starts. Default 1 800 000, the server's own.
   */
  readonly consumerTimeoutMs?: number;
  /** Of the queues that are declared: `classic` (default), as Celery does, or `quorum`, replicated and safer. */
  readonly queueType?: AmqpQueueType;
  /** Of the queues in which delayed messages wait. Default `quorum`, as Celery's. */
  readonly delayQueueType?: AmqpQueueType;
  /**
   * Declares queues with `x-max-priority`, 1 to 9: 9 is most urgent, and what is above the maximum counts as it. Classic
   * queues only. Default none, as Celery: then messages carry their priority, and the queue does not look at it.
   */
  readonly maxPriority?: number;
  /**
   * `http://user:password@host:15672` of the management plugin, for what AMQP cannot answer an inspector: all queues, what workers
   * hold, the age of the oldest. User and password default to those of the broker. Default: it is not asked.
   */
  readonly managementUrl?: string;
  /** Larger messages are refused before they are sent. Default 16 MiB, the server's own limit since 4.0. */
  readonly maxMessageBytes?: number;
}

/** The options in one form, checked. */
export interface ResolvedAmqpOptions {
  readonly hosts: readonly AmqpHost[];
  readonly vhost: string;
  readonly username: string;
  readonly password: string;
  readonly tls: ConnectionOptions | undefined;
  readonly heartbeatSeconds: number;
  readonly connectTimeoutMs: number;
  readonly blockedTimeoutMs: number;
  readonly confirmTimeoutMs: number;
  readonly consumerTimeoutMs: number;
  readonly queueType: AmqpQueueType;
  readonly delayQueueType: AmqpQueueType;
  readonly maxPriority: number | undefined;
  readonly managementUrl: string | undefined;
  readonly maxMessageBytes: number;
}

/** The most urgent priority. */
export const MOST_URGENT = 9;

/** Throws ConfigurationError with every problem. */
export function resolveOptions(options: AmqpDriverOptions): ResolvedAmqpOptions {
  const located = parseAmqpUrl(options.url ?? 'amqp://');
  const problems: ConfigurationProblem[] = [];
  const number = (name: NumberName, fallback: number, range: readonly [number, number]): number => {
    const text = located.parameters[name];
    const value = options[name] ?? (text === undefined ? fallback : Number(text));
    if (Number.isInteger(value) && value >= range[0] && value <= range[1]) return value;
    const expected = `a whole number from ${range[0]} to ${range[1]}`;
    problems.push({ path: name, expected, value: options[name] ?? text });
    return fallback;
  };
  const queueType = (name: 'queueType' | 'delayQueueType', fallback: AmqpQueueType): AmqpQueueType => {
    const value = options[name] ?? located.parameters[name] ?? fallback;
    if (value === 'classic' || value === 'quorum') return value;
    problems.push({ path: name, expected: 'classic or quorum', value });
    return fallback;
  };
  const managementUrl = options.managementUrl ?? located.parameters['managementUrl'];
  if (managementUrl !== undefined && !isHttp(managementUrl)) {
    problems.push({ path: 'managementUrl', expected: 'a URL with http or https', value: redactUrl(managementUrl) });
  }
  const hasPriority = options.maxPriority !== undefined || located.parameters['maxPriority'] !== undefined;
  const resolved: ResolvedAmqpOptions = {
    ...place(options, located),
    heartbeatSeconds: number('heartbeatSeconds', 5, [1, 3_600]),
    connectTimeoutMs: number('connectTimeoutMs', 5_000, [1, LONGEST_MS]),
    blockedTimeoutMs: number('blockedTimeoutMs', 5_000, [0, LONGEST_MS]),
    confirmTimeoutMs: number('confirmTimeoutMs', 30_000, [1, LONGEST_MS]),
    consumerTimeoutMs: number('consumerTimeoutMs', 1_800_000, [1, Number.MAX_SAFE_INTEGER]),
    queueType: queueType('queueType', 'classic'),
    delayQueueType: queueType('delayQueueType', 'quorum'),
    maxPriority: hasPriority ? number('maxPriority', MOST_URGENT, [1, MOST_URGENT]) : undefined,
    managementUrl,
    maxMessageBytes: number('maxMessageBytes', 16 * 1024 * 1024, [1_024, 512 * 1024 * 1024]),
  };
  if (resolved.hosts.length === 0) problems.push({ path: 'hosts', expected: 'at least one host', value: [] });
  if (resolved.maxPriority !== undefined && resolved.queueType === 'quorum') {
    const remedy = 'Leave maxPriority out, or use classic queues.';
    problems.push({
      path: 'maxPriority',
      expected: 'no value with quorum queues',
      value: resolved.maxPriority,
      remedy,
    });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return resolved;
}

/** Hosts and vhost for logs, without credentials. */
export function describeLocation({ hosts, vhost, tls }: ResolvedAmqpOptions): string {
  const scheme = tls === undefined ? 'amqp' : 'amqps';
  const places = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  return `${scheme}://${places.join(',')}/${encodeURIComponent(vhost)}`;
}

type NumberName =
  | 'heartbeatSeconds'
  | 'connectTimeoutMs'
  | 'blockedTimeoutMs'
  | 'confirmTimeoutMs'
  | 'consumerTimeoutMs'
  | 'maxPriority'
  | 'maxMessageBytes';

/** Timers reach no further. */
const LONGEST_MS = 2_147_483_647;

function isHttp(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

function place(
  options: AmqpDriverOptions,
  located: LocatedAmqp,
): Pick<ResolvedAmqpOptions, 'hosts' | 'vhost' | 'username' | 'password' | 'tls'> {
  return {
    hosts: options.hosts ?? located.hosts,
    vhost: options.vhost ?? located.vhost,
    username: options.username ?? located.username,
    password: options.password ?? located.password,
    tls: options.tls ?? located.tls,
  };
}
