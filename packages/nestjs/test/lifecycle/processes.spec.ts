import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../../../../test/support/databases.js';
import { createDatabase, isThere } from '../../../../test/support/databases.js';
import { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { redisIsInstalled, RedisServer } from '../../../../test/support/redis-server.js';

const APPLICATION = fileURLToPath(new URL('fixtures/application.mjs', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/index.js', import.meta.url));

/** A worker or beat as a process of its own, on the built package. */
class Service {
  readonly heard: string[] = [];
  output = '';
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown[]>;
  private readonly waiting: (() => void)[] = [];

  constructor(options: { readonly args?: readonly string[]; readonly env?: Record<string, string> }) {
    this.child = fork(APPLICATION, options.args ?? [], {
      silent: true,
      // Of the test runner's own flags, none is for a child.
      execArgv: [],
      env: { PATH: process.env['PATH'], TASKQUEUE_URL: 'memory:', NO_COLOR: '1', ...options.env },
    });
    this.exited = once(this.child, 'exit');
    this.child.on('message', (message: string) => this.changed(() => this.heard.push(message)));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (data) => this.changed(() => (this.output += String(data))));
    }
  }

  async until(condition: () => boolean): Promise<void> {
    const gone = this.exited.then(() => {
      if (!condition()) throw new Error(`The process ended. It said: ${this.heard.join(', ')}\n${this.output}`);
    });
    while (!condition()) await Promise.race([gone, new Promise<void>((resolve) => this.waiting.push(resolve))]);
  }

  hears(message: string): Promise<void> {
    return this.until(() => this.heard.includes(message));
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  say(message: string): void {
    this.child.send(message);
  }

  async exitCode(): Promise<unknown> {
    const [code, signal] = await this.exited;
    return code ?? signal;
  }

  end(): void {
    this.child.kill('SIGKILL');
  }

  private changed(change: () => void): void {
    change();
    for (const wake of this.waiting.splice(0)) wake();
  }
}

const services: Service[] = [];
function service(options: ConstructorParameters<typeof Service>[0] = {}): Service {
  const one = new Service(options);
  services.push(one);
  return one;
}

beforeAll(() => {
  if (!existsSync(BUILT)) throw new Error('These tests run the built package. Build it first: npx tsc -b');
});
afterAll(() => {
  for (const one of services.splice(0)) one.end();
});

describe('runWorker', () => {
  it.concurrent.each(['SIGTERM', 'SIGINT'] as const)('ends with code 0 at %s', async (signal) => {
    const worker = service({ args: ['-Q', 'default,mail', '-c', '3', '-n', 'w1'] });
    await worker.hears('running');
    expect(worker.output).toContain('w1 takes tasks from default, mail (concurrency 3)');
    worker.signal(signal);
    expect(await worker.exitCode()).toBe(0);
    expect(worker.heard).toEqual(['running', 'module destroyed']);
  });

  it.concurrent.each([
    [{}, [], 'mine takes tasks from a, b (concurrency 4)'],
    [{ TASKQUEUE_WORKER_CONCURRENCY: '5' }, [], 'mine takes tasks from a, b (concurrency 5)'],
    [{ TASKQUEUE_WORKER_CONCURRENCY: '5' }, ['-c', '6'], 'mine takes tasks from a, b (concurrency 6)'],
  ])(
    'is told by its program, by the environment %j, by its arguments %j, the last ones first',
    async (env, args, said) => {
      const OPTIONS = JSON.stringify({ name: 'mine', queues: ['a', 'b'], concurrency: 4 });
      const worker = service({ args, env: { OPTIONS, ...env } as Record<string, string> });
      await worker.hears('running');
      expect(worker.output).toContain(said);
    },
  );

  it.concurrent('lets a running task end before anything is closed', async () => {
    const worker = service({ env: { SEND_TASK: 'yes' } });
    await worker.hears('task started');
    worker.signal('SIGTERM');
    await worker.until(() => worker.output.includes('Waiting up to'));
    worker.say('finish');
    expect(await worker.exitCode()).toBe(0);
    expect(worker.heard.filter((one) => one !== 'running')).toEqual([
      'task started',
      'task finished',
      'module destroyed',
    ]);
  });

  it.concurrent('gives up the grace at a second signal', async () => {
    const worker = service({ env: { SEND_TASK: 'yes' } });
    await worker.hears('task started');
    worker.signal('SIGTERM');
    await worker.until(() => worker.output.includes('Waiting up to'));
    const began = performance.now();
    worker.signal('SIGTERM');
    expect(await worker.exitCode()).toBe(0);
    expect(performance.now() - began, 'of a grace of 20 s').toBeLessThan(12_000);
    expect(worker.heard.filter((one) => one !== 'running')).toEqual([
      'task started',
      'task aborted',
      'module destroyed',
    ]);
  });

  it.concurrent('ends at a signal while it starts', async () => {
    const worker = service({ env: { SLOW_START: 'yes' } });
    await worker.hears('starting');
    worker.signal('SIGTERM');
    expect(await worker.exitCode()).toBe(0);
    expect(worker.heard).toEqual(['starting']);
  });

  it.concurrent.each([
    [['--concurrency', 'many'], 'worker.concurrency'],
    [['--lease', '1ms'], 'worker.lease'],
    [['--qeues', 'mail'], "'--qeues'"],
    [['stray'], "'stray'"],
  ])('says which argument is wrong: %j', async (args, named) => {
    const worker = service({ args });
    expect(await worker.exitCode()).toBe(2);
    expect(worker.output).toContain('The worker could not start');
    expect(worker.output).toContain(named);
    expect(worker.heard).not.toContain('running');
  });

  it.concurrent('says what is wrong with the environment, all of it', async () => {
    const worker = service({ env: { TASKQUEUE_URL: 'pigeon:', TASKQUEUE_WORKER_POOL: 'swimming' } });
    expect(await worker.exitCode()).toBe(2);
    expect(worker.output).toMatch(/The worker could not start: The task queue configuration has 2 problems/);
    expect(worker.output).toContain('worker.pool');
    expect(worker.output).toContain('driver: expected a URL');
  });

  it.concurrent('shows its health while it drains, and takes its file away at the end', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'worker-'));
    const file = join(folder, 'alive');
    const worker = service({
      env: { SEND_TASK: 'yes', TASKQUEUE_WORKER_HEALTH_PORT: '0', TASKQUEUE_WORKER_HEALTH_FILE: file },
    });
    await worker.hears('task started');
    const port = /Health is told on 0\.0\.0\.0:(\d+)/.exec(worker.output)?.[1];
    const status = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    await eventually(async () => expect(await status('/readyz')).toBe(200));
    worker.signal('SIGTERM');
    await worker.until(() => worker.output.includes('Waiting up to'));
    await eventually(async () => expect(await status('/readyz')).toBe(503));
    expect(await status('/livez')).toBe(200);
    expect(existsSync(file)).toBe(true);
    worker.say('finish');
    expect(await worker.exitCode()).toBe(0);
    expect(existsSync(file)).toBe(false);
    rmSync(folder, { recursive: true });
  });

  it.concurrent('explains itself', async () => {
    const worker = service({ args: ['--help'] });
    expect(await worker.exitCode()).toBe(0);
    expect(worker.output).toContain('--concurrency N');
    expect(worker.heard).toEqual([]);
  });
});

describe.skipIf(!redisIsInstalled)('while its broker is away', () => {
  const servers: RedisServer[] = [];
  afterAll(() => Promise.all(servers.splice(0).map((server) => server.remove())));
  async function redis(): Promise<{ server: RedisServer; env: Record<string, string> }> {
    const server = await RedisServer.create();
    servers.push(server);
    const env = { TASKQUEUE_URL: server.url, TASKQUEUE_WORKER_SHUTDOWN_GRACE: '4s' };
    return { server, env };
  }
  const databases: TestDatabase[] = [];
  afterAll(() => Promise.all(databases.splice(0).map((database) => database.remove())));
  async function postgres(): Promise<string> {
    const database = await createDatabase('postgres');
    databases.push(database);
    return database.url;
  }
  /** How long a process takes from the signal to its end with code 0. */
  async function endsAfter(one: Service): Promise<number> {
    const began = performance.now();
    one.signal('SIGTERM');
    expect(await one.exitCode(), one.output).toBe(0);
    return performance.now() - began;
  }
  /** What is documented: the grace, and five seconds. */
  const IN_TIME = 9_000;

  it.concurrent.each(['worker', 'beat'])(
    '%s ends at once at a signal when it starts before a server that is silent',
    async (role) => {
      const { server, env } = await redis();
      await server.signal('SIGSTOP');
      const one = service({ env: { ...env, ROLE: role, TELL_BOOT: 'yes', TASKQUEUE_SCHEDULES_URL: 'memory:' } });
      await one.hears('booting');
      expect(await endsAfter(one)).toBeLessThan(IN_TIME);
      expect(one.heard).not.toContain('running');
    },
    40_000,
  );

  it.concurrent(
    'a worker that runs nothing ends in time',
    async () => {
      const { server, env } = await redis();
      const worker = service({ env });
      await worker.hears('running');
      await server.signal('SIGKILL');
      expect(await endsAfter(worker)).toBeLessThan(IN_TIME);
      expect(worker.heard).toContain('module destroyed');
    },
    40_000,
  );

  it.concurrent(
    'a worker with a task that does not end aborts it and ends in time',
    async () => {
      const { server, env } = await redis();
      const worker = service({ env: { ...env, SEND_TASK: 'yes' } });
      await worker.hears('task started');
      await server.signal('SIGKILL');
      expect(await endsAfter(worker)).toBeLessThan(IN_TIME);
      expect(worker.heard.slice(-2)).toEqual(['task aborted', 'module destroyed']);
    },
    40_000,
  );

  const amqp = process.env['TEST_AMQP_URL'];
  const silenced: readonly [string, () => Promise<string>][] = [
    ...(isThere('postgres') ? [['PostgreSQL', postgres] as [string, () => Promise<string>]] : []),
    ...(amqp === undefined ? [] : [['RabbitMQ', async () => amqp] as [string, () => Promise<string>]]),
  ];
  it.concurrent.each(silenced)(
    'a worker of a %s that is silent, with a task that does not end, ends in time',
    async (_name, urlOf) => {
      const url = new URL(await urlOf());
      const proxy = await FaultProxy.open({ host: url.hostname, port: Number(url.port) });
      [url.hostname, url.port] = ['127.0.0.1', String(proxy.port)];
      const queue = `silent-${randomUUID()}`;
      const env = { TASKQUEUE_URL: url.href, TASKQUEUE_DEFAULT_QUEUE: queue, TASKQUEUE_WORKER_SHUTDOWN_GRACE: '4s' };
      const worker = service({ env: { ...env, SEND_TASK: 'yes' } });
      await worker.hears('task started');
      proxy.silence();
      expect(await endsAfter(worker)).toBeLessThan(IN_TIME);
      await proxy.close();
    },
    40_000,
  );

  it.concurrent(
    'a worker of a server that is silent ends in time',
    async () => {
      const { server, env } = await redis();
      const worker = service({ env });
      await worker.hears('running');
      await server.signal('SIGSTOP');
      expect(await endsAfter(worker)).toBeLessThan(IN_TIME);
    },
    40_000,
  );
});

describe('runBeat', () => {
  it.concurrent('shows its health', async () => {
    const beat = service({
      env: { ROLE: 'beat', TASKQUEUE_BEAT_HEALTH_PORT: '0', TASKQUEUE_BEAT_HEALTH_HOST: '127.0.0.1' },
    });
    await beat.hears('running');
    const port = /Health is told on 127\.0\.0\.1:(\d+)/.exec(beat.output)?.[1];
    await eventually(async () => expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200));
  });

  it.concurrent('watches the schedules, and ends with code 0 at SIGTERM', async () => {
    const beat = service({ env: { ROLE: 'beat' } });
    await beat.hears('running');
    expect(beat.output).toContain('watches the schedules');
    beat.signal('SIGTERM');
    expect(await beat.exitCode()).toBe(0);
  });

  it.concurrent('ends with code 2 when its settings cannot be', async () => {
    const beat = service({ env: { ROLE: 'beat', TASKQUEUE_BEAT_POLL: 'never' } });
    expect(await beat.exitCode()).toBe(2);
    expect(beat.output).toContain('Beat could not start');
    expect(beat.output).toContain('beat.poll');
  });
});
