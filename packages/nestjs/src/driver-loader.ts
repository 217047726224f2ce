import type { Driver } from '@taskqueue/core';
import { ConfigurationError, memoryDriver, redactUrl } from '@taskqueue/core';

/** URL scheme → package. Each package exports `createDriver(url)`. */
const PACKAGES: Readonly<Record<string, string>> = {
  sqlite: '@taskqueue/typeorm',
  postgres: '@taskqueue/typeorm',
  postgresql: '@taskqueue/typeorm',
  redis: '@taskqueue/redis',
  rediss: '@taskqueue/redis',
  'redis+socket': '@taskqueue/redis',
  'redis+sentinel': '@taskqueue/redis',
  'rediss+sentinel': '@taskqueue/redis',
  'redis+cluster': '@taskqueue/redis',
  'rediss+cluster': '@taskqueue/redis',
  amqp: '@taskqueue/amqp',
  amqps: '@taskqueue/amqp',
  pyamqp: '@taskqueue/amqp',
};

/** The queue of an application that configures nothing. */
export const EMBEDDED_URL = 'sqlite:./data/taskqueue.sqlite';

/** Celery's name for results that the broker sends to their callers: no place of its own, hence no driver. */
export const RPC_URL = 'rpc://';

/** Makes the driver for a URL. Throws a ConfigurationError for an unknown scheme or a package that is not installed. */
export async function driverFromUrl(url: string, path: string): Promise<Driver> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'memory') return memoryDriver();
  const name = Object.hasOwn(PACKAGES, scheme) ? PACKAGES[scheme] : undefined;
  if (name === undefined) {
    throw problem(path, `a URL that begins with one of ${['memory', ...Object.keys(PACKAGES)].join(', ')}`, url);
  }
  return (await load(name, path, url)).createDriver(url);
}

async function load(name: string, path: string, url: string): Promise<{ createDriver(url: string): Driver }> {
  try {
    return (await import(name)) as { createDriver(url: string): Driver };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw problem(path, `the package ${name} to be installed`, url, `Run: npm install ${name}`);
  }
}

function problem(path: string, expected: string, url: string, remedy?: string): ConfigurationError {
  return new ConfigurationError([
    { path, expected, value: redactUrl(url), ...(remedy === undefined ? {} : { remedy }) },
  ]);
}
