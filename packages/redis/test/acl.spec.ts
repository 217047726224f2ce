import { readFileSync } from 'node:fs';
import {
  composeStores,
  defineTask,
  isTaskQueueError,
  Reject,
  Retry,
  silentLogger,
  Snooze,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import type { OpenedDriver } from './open-driver.js';
import { openDriver } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';
import { PrivateRedis } from './private-redis.js';

/** Users that the document grants what they need: each can do its work, and no more than that. */
describe.skipIf(!redisIsInstalled)('a user with the rules of docs/redis.md', { timeout: 60_000 }, () => {
  let server: PrivateRedis;
  const users = new Map<string, OpenedDriver>();

  beforeAll(async () => {
    server = await PrivateRedis.start();
    const document = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8');
    for (const [, name = '', rules = ''] of document.matchAll(/^ACL SETUSER (\w+) ((?:.*\\\n)*.*)$/gm)) {
      const words = rules.replaceAll('\\\n', ' ').trim().split(/\s+/);
      await server.command('acl', 'setuser', name, ...words);
      const password = words.find((word) => word.startsWith('>'))?.slice(1);
      users.set(name, await openDriver({ url: `redis://${name}:${password}@127.0.0.1:${server.port}` }));
    }
    await server.command('acl', 'log', 'reset');
  });

  afterAll(async () => {
    await Promise.all([...users.values()].map(({ driver }) => driver.close()));
    await server.dispose();
  });

  const user = (name: string): OpenedDriver => {
    const opened = users.get(name);
    if (opened === undefined) throw new Error(`docs/redis.md has no user ${name}`);
    return opened;
  };

  /** What the server refused since the last call, as `command or key` of each. */
  const refusals = async (): Promise<string[]> => {
    const log = (await server.command('acl', 'log')) as string[][];
    await server.command('acl', 'log', 'reset');
    return log.map((entry) => `${entry[entry.indexOf('reason') + 1]} ${entry[entry.indexOf('object') + 1]}`);
  };

  const senderOf = ({ driver }: OpenedDriver): TaskSender =>
    new TaskSender({
      stores: composeStores({ broker: driver }),
      registry: new TaskRegistry(),
      settings: validateSettings({ defaultQueue: 'mail' }),
      clock: systemClock,
    });

  const isDenied = (error: unknown): boolean => isTaskQueueError(error, 'CAPABILITY_UNSUPPORTED');

  it('as a producer sends at once, in bulk, with a priority and for later, and to its queues only', async () => {
    const producer = user('producer');
    const sender = senderOf(producer);
    await sender.sendTask('a');
    await sender.sendMany(Array.from({ length: 3 }, () => ({ task: 'a', options: { priority: 9 } })));
    await sender.sendTask('a', [], {}, { countdown: 50 });
    await eventually(async () => expect(await server.command('llen', 'mail')).toBe(2));
    expect(await server.command('llen', 'mail\x06\x163')).toBe(3);
    // It does not clear away what Python workers leave behind: for that it would have to be allowed to delete a queue.
    expect(new Set(await refusals())).toEqual(new Set(['command unlink']));
    await expect(sender.sendTask('a', [], {}, { queue: 'other' })).rejects.toSatisfy(isDenied);
  });

  it('as a producer neither takes, nor reads, nor deletes', async () => {
    const { broker, inspector, results } = user('producer');
    await broker.publish([outgoing('mail')]);
    const waiting = await server.command('llen', 'mail');
    const consuming = broker.consume({ queues: ['mail'], consumerId: 'x', leaseMs: 1_000 });
    await expect(consuming).rejects.toThrow(/no permission for .*RPOP/);
    await expect(inspector.peek({ queue: 'mail', status: 'ready', limit: 1 })).rejects.toSatisfy(isDenied);
    await expect(inspector.purge('mail')).rejects.toSatisfy(isDenied);
    await expect(results.get(['x'])).rejects.toSatisfy(isDenied);
    expect(await server.command('llen', 'mail')).toBe(waiting);
    await refusals();
  });

  it('as a worker runs, retries, snoozes, buries, recovers and revokes', async () => {
    const worker = user('worker');
    await worker.inspector.purge('mail');
    const registry = new TaskRegistry();
    const handlers: Record<string, (run: number) => unknown> = {
      succeeds: () => 'done',
      retries: (run) => {
        if (run === 1) throw new Retry({ countdown: 20 });
        return 'at last';
      },
      snoozes: (run) => {
        if (run === 1) throw new Snooze(20);
        return 'at last';
      },
      fails: () => {
        throw new Error('no');
      },
      rejects: () => {
        throw new Reject('not for us');
      },
    };
    for (const [name, handle] of Object.entries(handlers)) {
      const handler = ({ context }: { context: { fence: number } }): unknown => handle(context.fence);
      registry.register({ definition: defineTask(name, { retry: { max: 1 } }), source: name, handler });
    }
    const running = new Worker({
      stores: composeStores({ broker: worker.driver }),
      registry,
      settings: validateSettings({
        defaultQueue: 'mail',
        worker: { queues: ['mail'], concurrency: 2, lease: '1s', logTasks: false, trackStarted: true },
      }),
      logger: silentLogger,
      clock: systemClock,
      random: Math.random,
    });
    await running.start();
    const sender = senderOf(worker);
    const handles = await Promise.all([...Object.keys(handlers), 'unknown'].map((task) => sender.sendTask(task)));
    const later = await sender.sendTask('succeeds', [], {}, { countdown: '1h' });
    const ended = await Promise.allSettled(handles.map((handle) => handle.get({ timeout: '20s' })));
    expect(ended.map(({ status }) => status)).toEqual([
      ...Array<string>(3).fill('fulfilled'),
      ...Array<string>(3).fill('rejected'),
    ]);
    await later.revoke();
    await expect(later.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    // Longer than a lease: it was renewed, by the thread too, and lost leases were looked for.
    await eventually(async () => {
      const calls = String(await server.command('info', 'commandstats'));
      expect(Number(/cmdstat_zrangebyscore:calls=(\d+)/.exec(calls)?.[1])).toBeGreaterThan(5);
      expect(String(await server.command('client', 'list'))).toContain('name=taskqueue:keep-alive');
    });
    const dead = await worker.inspector.deadLetters({ limit: 10 });
    expect(await worker.inspector.redrive([dead.messages[0]?.id as string])).toHaveLength(1);
    await running.stop();
    expect(await refusals()).toEqual([]);
  });

  it('as a monitor looks at everything and changes nothing', async () => {
    const monitor = user('monitor');
    const { broker, inspector } = user('worker');
    await inspector.purge('mail');
    await broker.publish([outgoing('mail'), outgoing('mail', { delayMs: 60_000 })]);
    await monitor.driver.ping();
    for await (const _ of monitor.results.watch?.(['x'], AbortSignal.timeout(200)) ?? []);
    const queues = await monitor.inspector.queues();
    expect(queues.find(({ name }) => name === 'mail')).toMatchObject({ ready: 1, delayed: 1 });
    for (const status of ['ready', 'delayed', 'leased'] as const) {
      const messages = await monitor.inspector.peek({ queue: 'mail', status, limit: 10 });
      expect(messages).toHaveLength(status === 'leased' ? 0 : 1);
    }
    const { messages: dead } = await monitor.inspector.deadLetters({ limit: 10 });
    expect(new Set(dead.map(({ queue }) => queue))).toEqual(new Set(['mail']));
    expect(await monitor.results.get(['x'])).toEqual([undefined]);
    expect(await refusals()).toEqual([]);
    await expect(monitor.inspector.purge('mail')).rejects.toSatisfy(isDenied);
    await expect(monitor.inspector.pause('mail')).rejects.toSatisfy(isDenied);
    await expect(monitor.results.forget(['x'])).rejects.toSatisfy(isDenied);
    expect((await monitor.broker.publish([outgoing('mail')]))[0]).toMatchObject({ status: 'refused' });
    expect(await server.command('llen', 'mail')).toBe(1);
  });
});
