import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { redisIsInstalled, RedisServer } from '../../../test/support/redis-server.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

/** A server of their own: what is counted here must be nobody else's. */
describe.skipIf(!redisIsInstalled)('a waiting consumer', () => {
  let server: RedisServer;
  let admin: Redis;
  let opened: OpenedDriver;
  let queue: string;

  beforeEach(async () => {
    server = await RedisServer.create();
    admin = new Redis(server.port);
    opened = await openDriver({ url: server.url });
    queue = `q-${randomUUID()}`;
  });

  afterEach(async () => {
    await opened.driver.close();
    admin.disconnect();
    await server.remove();
  });

  const foreign = (): string => {
    const id = randomUUID();
    const envelope = {
      body: Buffer.from('[[], {}, {}]').toString('base64'),
      'content-encoding': 'utf-8',
      'content-type': 'application/json',
      headers: { id, task: 'test.task', lang: 'py' },
      properties: { delivery_tag: randomUUID(), delivery_info: {}, body_encoding: 'base64', priority: 0 },
    };
    return JSON.stringify(envelope);
  };

  /** How often a command was called, inside scripts too. */
  const commandCalls = async (command: string): Promise<number> =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await admin.info('commandstats'))?.[1] ?? 0);
  /** Since 7.2 a server counts a blocked command once more when it is woken. */
  const countedAtWaking = async (): Promise<number> => {
    const [, major, minor] = /redis_version:(\d+)\.(\d+)/.exec(await admin.info('server')) ?? [];
    return Number(major) * 100 + Number(minor) >= 702 ? 1 : 0;
  };
  /** Connections that are blocked on a marker. */
  const sleepers = async (): Promise<number> =>
    String(await admin.client('LIST'))
      .split('\n')
      .filter((line) => /flags=\w*b.*cmd=bzpopmin/.test(line)).length;

  it('is woken by a push of somebody else into each of its lists, soon', async () => {
    const consumer = await opened.consume([queue]);
    const late: number[] = [];
    for (const list of [queue, `${queue}\x06\x163`, `${queue}\x06\x166`, `${queue}\x06\x169`, queue, queue]) {
      const watched = await commandCalls('client\\|caching');
      const waiting = take(consumer, 1);
      await eventually(async () => expect(await commandCalls('client\\|caching')).toBeGreaterThan(watched));
      const text = foreign();
      const began = performance.now();
      await admin.lpush(list, text);
      const [delivery] = await waiting;
      late.push(performance.now() - began);
      expect(idOf(delivery)).toBe((JSON.parse(text) as { headers: { id: string } }).headers.id);
      await consumer.settle([ack(delivery as never)]);
    }
    // Without being told, the next look comes up to a second later; the machine may be busy, so most of them count.
    expect(late.sort((a, b) => a - b)[3]).toBeLessThan(250);
  });

  it('watches many queues by few commands, each of them', async () => {
    const queues = Array.from({ length: 300 }, (_, index) => `${queue}-${index}`);
    const consumer = await opened.consume(queues);
    const before = await commandCalls('client\\|caching');
    const waiting = take(consumer, 1);
    await eventually(async () => expect(await commandCalls('client\\|caching')).toBeGreaterThan(before));
    await eventually(async () => expect(await sleepers()).toBe(1));
    const began = performance.now();
    await admin.lpush(queues[250] as string, foreign());
    await waiting;
    expect(performance.now() - began).toBeLessThan(500);
    // One look when the wait began, and one or two because of the push.
    expect((await commandCalls('client\\|caching')) - before).toBeLessThan(20);
  });

  it('finds what others push also where the server may not tell of it', async () => {
    await admin.call('ACL', 'SETUSER', 'limited', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking');
    const limited = await openDriver({ url: `redis://limited:secret@127.0.0.1:${server.port}` });
    const consumer = await limited.consume([queue]);
    const waiting = take(consumer, 1);
    await eventually(() => expect(limited.log.join()).toContain('looked for once a second'));
    const began = performance.now();
    await admin.lpush(queue, foreign());
    await waiting;
    expect(performance.now() - began).toBeLessThan(3_000);
    await limited.driver.close();
  });

  it('sends few commands while it is idle', async () => {
    const consumer = await opened.consume([queue]);
    const stop = new AbortController();
    const loop = (async () => {
      while (!stop.signal.aborted) await consumer.receive({ max: 10, signal: stop.signal });
    })();
    await eventually(async () => expect(await sleepers()).toBe(1));
    // What clients send; `total_commands_processed` counts the calls inside scripts too.
    const sent = async (): Promise<number> => {
      const calls = await Promise.all(
        ['evalsha', 'eval', 'bzpopmin', 'client\\|caching', 'get', 'ping'].map(commandCalls),
      );
      return calls.reduce((sum, one) => sum + one, 0);
    };
    const before = await sent();
    const blocked = await commandCalls('bzpopmin');
    const began = performance.now();
    // Several rounds of everything that is periodic.
    await eventually(async () => expect(await commandCalls('bzpopmin')).toBeGreaterThan(blocked + 2), 20_000);
    const perSecond = ((await sent()) - before) / ((performance.now() - began) / 1_000);
    stop.abort();
    await loop;
    expect(perSecond).toBeLessThan(4);
  });

  it('is the only one that a message wakes', async () => {
    const drivers = await Promise.all([1, 2, 3, 4].map(() => openDriver({ url: server.url })));
    const consumers = await Promise.all(drivers.map((one) => one.consume([queue])));
    const stop = new AbortController();
    const waiting = consumers.map((one) => one.receive({ max: 1, signal: stop.signal }));
    await eventually(async () => expect(await sleepers()).toBe(4));
    const before = await commandCalls('bzpopmin');
    await opened.broker.publish([outgoing(queue)]);
    expect(await Promise.race(waiting)).toHaveLength(1);
    expect(await commandCalls('bzpopmin')).toBe(before + (await countedAtWaking()));
    expect(await sleepers()).toBe(3);
    stop.abort();
    await Promise.all(waiting);
    await Promise.all(drivers.map((one) => one.driver.close()));
  });

  it('hands a wake-up on that reaches it when it does not wait any more', async () => {
    const [busy, idle] = await Promise.all([openDriver({ url: server.url }), openDriver({ url: server.url })]);
    const [busyConsumer, idleConsumer] = await Promise.all([busy.consume([queue]), idle.consume([queue])]);
    let waited = 0;
    for (let round = 0; round < 4; round += 1) {
      const stop = new AbortController();
      const gaveUp = busyConsumer.receive({ max: 1, signal: stop.signal });
      await eventually(async () => expect(await sleepers()).toBe(1));
      stop.abort();
      await gaveUp;
      const waiting = take(idleConsumer, 1);
      await eventually(async () => expect(await sleepers()).toBe(2));
      const began = performance.now();
      // The first sleeper is served first, and it is the one that does not wait.
      await opened.broker.publish([outgoing(queue)]);
      await idleConsumer.settle((await waiting).map(ack));
      waited += performance.now() - began;
      await eventually(async () => expect(await sleepers()).toBe(0));
    }
    // A look would find them too, each within a second.
    expect(waited).toBeLessThan(600);
    await Promise.all([busy.driver.close(), idle.driver.close()]);
  });

  it('hands a wake-up on for which it had no room, because another queue filled it', async () => {
    // Without being told of changes, so that nothing but the marker wakes anybody.
    await admin.call('ACL', 'SETUSER', 'limited', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking');
    const url = `redis://limited:secret@127.0.0.1:${server.port}`;
    const [busy, idle] = await Promise.all([openDriver({ url }), openDriver({ url })]);
    const busyConsumer = await busy.consume([`${queue}-a`, `${queue}-b`]);
    const idleConsumer = await idle.consume([`${queue}-b`]);
    let waited = 0;
    for (let round = 0; round < 4; round += 1) {
      const filled = take(busyConsumer, 1);
      await eventually(async () => expect(await sleepers()).toBe(1));
      const waiting = take(idleConsumer, 1);
      await eventually(async () => expect(await sleepers()).toBe(2));
      const began = performance.now();
      const marker = `taskqueue:{${queue}-b}:wake`;
      await admin.multi().lpush(`${queue}-a`, foreign()).lpush(`${queue}-b`, foreign()).zadd(marker, 0, '0').exec();
      await idleConsumer.settle((await waiting).map(ack));
      waited += performance.now() - began;
      await busyConsumer.settle((await filled).map(ack));
      await eventually(async () => expect(await sleepers()).toBe(0));
    }
    // A look would find them too, each within a second.
    expect(waited).toBeLessThan(600);
    await Promise.all([busy.driver.close(), idle.driver.close()]);
  });

  it('does not ask again and again while its queue is paused and full', async () => {
    await opened.broker.publish(Array.from({ length: 10 }, () => outgoing(queue)));
    await opened.inspector.pause(queue);
    const consumer = await opened.consume([queue]);
    const before = await commandCalls('evalsha');
    expect(await consumer.receive({ max: 10, signal: AbortSignal.timeout(1_500) })).toEqual([]);
    expect((await commandCalls('evalsha')) - before).toBeLessThan(20);
    const waiting = take(consumer, 10);
    await opened.inspector.resume(queue);
    expect(await waiting).toHaveLength(10);
  });
});
