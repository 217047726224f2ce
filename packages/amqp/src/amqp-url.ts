import type { ConnectionOptions } from 'node:tls';
import { celeryTls, ConfigurationError, redactUrl } from '@taskqueue/core';

/** Every scheme of a URL that this package understands; `pyamqp` is Kombu's word for `amqp`. */
export const AMQP_SCHEMES = ['amqp', 'amqps', 'pyamqp'] as const;

/** A server by its name and port. */
export interface AmqpHost {
  readonly host: string;
  readonly port: number;
}

/** Where the brokers are, and what a URL says of the driver besides. */
export interface LocatedAmqp {
  readonly hosts: readonly AmqpHost[];
  readonly vhost: string;
  readonly username: string;
  readonly password: string;
  readonly tls: ConnectionOptions | undefined;
  /** Options of the driver by name, as texts. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Options of the driver that a URL may carry; they are checked with the other options. */
const PARAMETERS = [
  'heartbeatSeconds',
  'connectTimeoutMs',
  'blockedTimeoutMs',
  'confirmTimeoutMs',
  'consumerTimeoutMs',
  'queueType',
  'delayQueueType',
  'maxPriority',
  'managementUrl',
  'maxMessageBytes',
];
const PORT = 5_672;
const TLS_PORT = 5_671;

/**
 * The parts of a URL. Parameters that are not known are errors, so that a misspelt one is not passed over. As with
 * Kombu, no vhost, `/` and `//` all mean the vhost `/`. Throws ConfigurationError.
 */
export function parseAmqpUrl(url: string): LocatedAmqp {
  const match = /^(amqps?|pyamqp):\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(url);
  if (match === null)
    throw invalid('url', `one of ${AMQP_SCHEMES.join(', ')} with ://user:password@host:port/vhost`, url);
  const [, scheme, authority = '', path = '', query = ''] = match;
  const isTls = scheme === 'amqps';
  const search = new URLSearchParams(query);
  const { username, password, hosts } = parseAuthority(authority, isTls ? TLS_PORT : PORT, url);
  const parameters: Record<string, string> = {};
  for (const [name, text] of [['heartbeatSeconds', take(search, 'heartbeat')]] as const) {
    if (text !== undefined) parameters[name] = text;
  }
  for (const name of PARAMETERS) {
    const text = take(search, name);
    if (text !== undefined) parameters[name] = text;
  }
  const tls = isTls ? celeryTls((name) => take(search, name), invalid) : undefined;
  const unknown = [...search.keys()];
  if (unknown.length > 0) throw invalid('url', `no parameter ${unknown.join(', ')}`, url);
  return { hosts, username, password, vhost: vhostOf(path, url), tls, parameters };
}

function take(search: URLSearchParams, name: string): string | undefined {
  const value = search.get(name) ?? undefined;
  search.delete(name);
  return value;
}

function vhostOf(path: string, url: string): string {
  if (path === '' || path === '/' || path === '//') return '/';
  return decoded(path.slice(1), url);
}

function parseAuthority(
  authority: string,
  defaultPort: number,
  url: string,
): { username: string; password: string; hosts: AmqpHost[] } {
  const at = authority.lastIndexOf('@');
  const credentials = at < 0 ? 'guest:guest' : authority.slice(0, at);
  const colon = credentials.indexOf(':');
  const username = decoded(colon < 0 ? credentials : credentials.slice(0, colon), url);
  const password = colon < 0 ? '' : decoded(credentials.slice(colon + 1), url);
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map((text) => address(text, defaultPort, url));
  return { username, password, hosts };
}

/** `host`, `host:port`, `[::1]:port`, or nothing for this machine. */
function address(text: string, defaultPort: number, url: string): AmqpHost {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (match === null || port < 1 || port > 65_535) throw invalid('url', 'hosts as host:port', url);
  return { host: match[1] ?? (match[2] === '' ? '127.0.0.1' : (match[2] as string)), port };
}

function decoded(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('url', 'user, password and vhost percent-encoded', url);
  }
}

function invalid(path: string, expected: string, value: string): ConfigurationError {
  return new ConfigurationError([
    {
      path,
      expected,
      value: redactUrl(value.replace(/^([a-z+]+:\/\/).*@/i, '$1***@')),
      remedy: 'See the README of @taskqueue/amqp.',
    },
  ]);
}
