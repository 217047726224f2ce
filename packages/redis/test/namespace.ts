import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';

/** The test server; undefined where there is none, and the set-up has said so. */
export const redisUrl = process.env['TEST_REDIS_URL'];

/** A prefix of a test's own on the test server, and a plain client to look at it. */
export interface Namespace {
  readonly prefix: string;
  /** With the prefix, for `createDriver`. */
  readonly url: string;
  readonly client: Redis;
  /** Removes every key under the prefix. */
  dispose(): Promise<void>;
}

export function createNamespace(serverUrl = redisUrl as string): Namespace {
  const prefix = `test-${randomUUID().slice(0, 13)}:`;
  const url = new URL(serverUrl);
  url.searchParams.set('keyPrefix', prefix);
  const client = new Redis(serverUrl);
  return {
    prefix,
    url: url.href,
    client,
    dispose: async () => {
      for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
        if ((keys as string[]).length > 0) await client.unlink(...(keys as string[]));
      }
      client.disconnect();
    },
  };
}
