import { Redis } from 'ioredis';
import { RedisServer } from '../../../test/support/redis-server.js';

/** What was accepted survives a crash. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A Redis server of a test's own, and a client beside the tests' own connections. */
export class PrivateRedis {
  /** Made anew by itself. */
  readonly admin: Redis;

  private constructor(private readonly server: RedisServer) {
    this.admin = new Redis(server.port, '127.0.0.1', { retryStrategy: () => 100, maxRetriesPerRequest: null });
    this.admin.on('error', () => undefined);
  }

  /** `options` come after ours, and win. A durable server by default. */
  static async start(options: readonly string[] = DURABLE): Promise<PrivateRedis> {
    return new PrivateRedis(await RedisServer.create(['--enable-debug-command', 'yes', ...options]));
  }

  get port(): number {
    return this.server.port;
  }

  get url(): string {
    return this.server.url;
  }

  /** Again, on the same port and files. See {@link RedisServer.start}. */
  start(extra: readonly string[] = [], until: 'ready' | 'loading' = 'ready'): Promise<void> {
    return this.server.start(extra, until);
  }

  /** As a crash does. */
  kill(): Promise<void> {
    return this.server.signal('SIGKILL');
  }

  async command(...args: readonly [string, ...(string | number)[]]): Promise<unknown> {
    const [name, ...rest] = args;
    return this.admin.call(name, ...rest);
  }

  /** The connections with this name, as `CLIENT LIST` has them. */
  async clients(name: string): Promise<{ readonly id: string; readonly flags: string }[]> {
    const list = String(await this.command('client', 'list'));
    const lines = list.split('\n').filter((line) => line.includes(` name=${name} `));
    return lines.map((line) => ({ id: field(line, 'id'), flags: field(line, 'flags') }));
  }

  async dispose(): Promise<void> {
    this.admin.disconnect();
    await this.server.remove();
  }
}

/** One command on a connection of its own. */
export async function ask(port: number, args: readonly [string, ...string[]]): Promise<unknown> {
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: null,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    commandTimeout: 2_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const [name, ...rest] = args;
    return await client.call(name, ...rest);
  } finally {
    client.disconnect();
  }
}

function field(line: string, name: string): string {
  return new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? '';
}
