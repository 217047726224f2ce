import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Consumer, OutgoingMessage } from '@taskqueue/core';
import { isTaskQueueError } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { redisIsInstalled, RedisServer } from '../../../test/support/redis-server.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

/** Every receive loop goes on within this time after a fault has ended. */
const RECOVERY_MS = 10_000;

describe.skipIf(!redisIsInstalled)('outages of Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  let opened: OpenedDriver;
  let producer: OpenedDriver;
  let queue: string;
  let consumer: Consumer;
  let stopped = new AbortController();
  let loop: Promise<void> = Promise.resolve();
  const received = new Map<string, number>();

  beforeAll(async () => {
    server = await RedisServer.create([
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
      '--enable-debug-command',
      'yes',
    ]);
  });

  afterAll(() => server.remove());

  beforeEach(async () => {
    admin = new Redis(server.port, { maxRetriesPerRequest: null });
    admin.on('error', () => undefined);
    [opened, producer] = await Promise.all([openDriver({ url: server.url }), openDriver({ url: server.url })]);
    queue = `q-${randomUUID()}`;
    consumer = await opened.consume([queue], 5_000);
    received.clear();
    stopped = new AbortController();
    loop = work(stopped.signal);
  });

  afterEach(async () => {
    stopped.abort();
    await loop;
    await Promise.all([opened.driver.close(), producer.driver.close()]);
    admin.disconnect();
  });

  /** A worker's loop: receive, count, acknowledge; after an error again. */
  const work = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        const deliveries = await consumer.receive({ max: 5, signal });
        for (const one of deliveries) received.set(String(idOf(one)), (received.get(String(idOf(one))) ?? 0) + 1);
        await consumer.settle(deliveries.map(ack));
      } catch {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };

  const publish = async (message: OutgoingMessage = outgoing(queue)): Promise<string> => {
    await eventually(async () => {
      const [outcome] = await producer.broker.publish([message]);
      expect(outcome?.status).toMatch(/accepted|duplicate/);
    });
    return message.id;
  };

  const arrives = async (id: string): Promise<void> => {
    await eventually(() => expect([...received.keys()]).toContain(id), RECOVERY_MS);
  };

  /** Consumes now, and is idle: the next message has to wake it. */
  const settled = async (): Promise<void> => {
    await arrives(await publish());
    await eventually(async () => {
      const clients = String(await admin.client('LIST'));
      expect(clients).toMatch(/name=taskqueue:sleeper.*cmd=bzpopmin/);
    });
  };

  it('a restart with its data: consumption goes on, and nothing is lost', async () => {
    await settled();
    await server.signal('SIGKILL');
    await server.start();
    await arrives(await publish());
    expect(opened.log.join()).not.toContain('lost the data');
  });

  it('every connection killed, again and again', async () => {
    await settled();
    for (let round = 0; round < 5; round += 1) {
      for (const line of String(await admin.client('LIST')).split('\n')) {
        const id = /id=(\d+) .*name=taskqueue:/.exec(line)?.[1];
        if (id !== undefined) await admin.call('CLIENT', 'KILL', 'ID', id);
      }
      await arrives(await publish());
    }
  });

  it('only the connection that sleeps is killed', async () => {
    await settled();
    const line = String(await admin.client('LIST'))
      .split('\n')
      .find((one) => one.includes('name=taskqueue:sleeper'));
    await admin.call('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line ?? '')?.[1] as string);
    await arrives(await publish());
  });

  it('scripts forgotten', async () => {
    await settled();
    await admin.script('FLUSH');
    await arrives(await publish());
    await arrives(await publish(outgoing(queue, { delayMs: 50 })));
  });

  it('busy with the script of somebody else', async () => {
    await settled();
    await admin.config('SET', 'busy-reply-threshold', 50);
    const other = new Redis(server.port);
    const busy = other.eval('local n = 0 while n < 30000000 do n = n + 1 end return n', 0).catch(() => undefined);
    await arrives(await publish());
    await busy;
    other.disconnect();
  });

  it('made a replica and a primary again: READONLY and UNBLOCKED', async () => {
    await settled();
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    const [outcome] = await producer.broker.publish([outgoing(queue)]);
    expect(outcome?.status).toBe('refused');
    await admin.call('REPLICAOF', 'NO', 'ONE');
    await arrives(await publish());
  });

  it('without the replicas that it must have: publishing is refused as not sent, and consumption goes on with them', async () => {
    await settled();
    await admin.config('SET', 'min-replicas-to-write', 1);
    const [outcome] = await producer.broker.publish([outgoing(queue)]);
    expect(outcome).toMatchObject({
      status: 'refused',
      error: { code: 'BROKER_UNAVAILABLE', fields: { sent: false } },
    });
    expect(String(outcome && 'error' in outcome && outcome.error)).toContain('NOREPLICAS');
    await admin.config('SET', 'min-replicas-to-write', 0);
    await arrives(await publish());
  });

  it('frozen for longer than anybody waits for an answer', async () => {
    await settled();
    await server.signal('SIGSTOP');
    const [outcome] = await producer.broker.publish([outgoing(queue)]);
    expect(outcome?.status).toBe('unknown');
    await server.signal('SIGCONT');
    await arrives(await publish());
  });

  it('away: publishing is refused as not sent, the health check says so, and all of it comes back', async () => {
    await settled();
    await server.signal('SIGKILL');
    const [outcome] = await producer.broker.publish([outgoing(queue)]);
    expect(outcome?.status).toMatch(/refused|unknown/);
    await expect(producer.driver.ping()).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
    // Once the client has noticed, nothing is sent any more, and it says so.
    await eventually(async () => expect((await producer.broker.publish([outgoing(queue)]))[0]?.status).toBe('refused'));
    await server.start();
    await arrives(await publish());
    await producer.driver.ping();
    expect(producer.log.join('\n')).toContain('connected again');
  });

  it('away: a driver that is closed keeps nobody waiting for it', async () => {
    await server.signal('SIGKILL');
    await eventually(() => expect(producer.log.join()).toContain('was lost'));
    const publishing = producer.broker.publish([outgoing(queue)]);
    await producer.driver.close();
    expect(await publishing).toMatchObject([
      { status: 'refused', error: { message: expect.stringContaining('was closed') as string } },
    ]);
    await server.start();
  });

  it('away: any number of calls wait for it, and Node warns of no leak', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', onWarning);
    await server.signal('SIGKILL');
    await eventually(() => expect(producer.log.join()).toContain('was lost'));
    const pings = Promise.all(Array.from({ length: 50 }, () => producer.driver.ping()));
    await server.start();
    await pings;
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    await arrives(await publish());
  });
});

describe.skipIf(!redisIsInstalled)('a server that loses its data', () => {
  it('is noticed after a restart and after FLUSHALL, and tasks flow again', async () => {
    const server = await RedisServer.create();
    const opened = await openDriver({ url: server.url });
    const consumer = await opened.consume(['q']);
    await opened.broker.publish([outgoing('q')]);
    const [held] = await take(consumer, 1);
    await server.signal('SIGKILL');
    await server.start();
    await eventually(() => expect(opened.log.filter((line) => line.includes('lost the data'))).toHaveLength(1));
    expect(await consumer.extend([held as never], 30_000)).toEqual(['lost']);
    expect(await consumer.settle([ack(held as never)])).toEqual(['lost']);
    const next = outgoing('q');
    expect((await opened.broker.publish([next]))[0]?.status).toBe('accepted');
    const [again] = await take(consumer, 1);
    expect(idOf(again)).toBe(next.id);
    // Known to inspectors again, though it had been made known before.
    expect((await opened.inspector.queues()).map((one) => one.name)).toEqual(['q']);

    const admin = new Redis(server.port);
    await admin.flushall();
    await opened.broker.publish([outgoing('q')]);
    await take(consumer, 1);
    await eventually(() => expect(opened.log.filter((line) => line.includes('lost the data'))).toHaveLength(2));
    admin.disconnect();
    await opened.driver.close();
    await server.remove();
  });
});

describe.skipIf(!redisIsInstalled)('a server that is flushed while everybody is connected', () => {
  it('learns of the queues again from those who consume them, so that lost workers are noticed', async () => {
    const server = await RedisServer.create();
    const [worker, producer] = await Promise.all([openDriver({ url: server.url }), openDriver({ url: server.url })]);
    const consumer = await worker.consume(['q'], 500);
    await producer.broker.publish([outgoing('q')]);
    await take(consumer, 1);
    const admin = new Redis(server.port);
    await admin.flushall();
    // The producer does not know, and makes nothing known.
    const message = outgoing('q');
    await producer.broker.publish([message]);
    const [held] = await take(consumer, 1);
    expect(idOf(held)).toBe(message.id);
    await eventually(async () => expect(await worker.broker.recover?.()).toEqual({ recovered: 1 }));
    expect((await worker.inspector.queues()).map((one) => one.name)).toEqual(['q']);
    admin.disconnect();
    await Promise.all([worker.driver.close(), producer.driver.close()]);
    await server.remove();
  });
});

describe.skipIf(!redisIsInstalled)('answers that are lost', () => {
  let server: RedisServer;
  let proxy: FaultProxy;
  let direct: OpenedDriver;
  let opened: OpenedDriver;

  beforeEach(async () => {
    server = await RedisServer.create();
    proxy = await FaultProxy.open({ host: '127.0.0.1', port: server.port });
    direct = await openDriver({ url: server.url });
    opened = await openDriver({ url: `redis://127.0.0.1:${proxy.port}` });
  });

  afterEach(async () => {
    await Promise.all([opened.driver.close(), direct.driver.close()]);
    await proxy.close();
    await server.remove();
  });

  it('to a publication: unknown, and a duplicate when it is sent again', async () => {
    const message = outgoing('q');
    await opened.broker.declare([{ name: 'q' }]);
    const lost = proxy.loseReply('test.task');
    const [outcome] = await opened.broker.publish([message]);
    await lost;
    expect(outcome?.status).toBe('unknown');
    await eventually(async () => expect((await opened.broker.publish([message]))[0]?.status).toBe('duplicate'));
  });

  it('to a claim: what it leased goes back to its place, uncounted as lost, when the next claim comes', async () => {
    const consumer = await opened.consume(['q']);
    const messages = [outgoing('q'), outgoing('q')];
    await direct.broker.publish([outgoing('q')]);
    const [held] = await take(consumer, 1);
    const lost = proxy.loseReply('evalsha');
    await direct.broker.publish(messages);
    const signal = AbortSignal.timeout(10_000);
    await consumer.receive({ max: 1, signal }).catch(() => []);
    await lost;
    const again = await take(consumer, 2);
    expect(again.map(idOf)).toEqual(messages.map((one) => one.id));
    expect(again.map((one) => one.lostLeases)).toEqual([0, 0]);
    // What was held all the time is still held.
    expect(await consumer.settle([held, ...again].map((one) => ack(one as never)))).toEqual([
      'settled',
      'settled',
      'settled',
    ]);
    const [facts] = await direct.inspector.queues();
    expect(facts).toMatchObject({ ready: 0, leased: 0 });
  });

  it('to a claim that nobody waits for any more, with the connection that was to give it back', async () => {
    const consumer = await opened.consume(['q']);
    await direct.broker.publish([outgoing('q')]);
    await consumer.settle((await take(consumer, 1)).map(ack));
    const message = outgoing('q');
    await direct.broker.publish([message]);
    proxy.silence('to-client');
    const stop = new AbortController();
    const receiving = consumer.receive({ max: 1, signal: stop.signal });
    await eventually(async () => expect((await direct.inspector.queues())[0]).toMatchObject({ leased: 1 }));
    stop.abort();
    expect(await receiving).toEqual([]);
    const cut = proxy.cutAfter(20, 'to-server');
    proxy.resume();
    await cut;
    expect((await take(consumer, 1)).map(idOf)).toEqual([message.id]);
  });

  it('to the wish to hear of changes: it is wished again', async () => {
    const consumer = await opened.consume(['q']);
    await proxy.refuse();
    // Longer than it is waited for a connection that listens.
    for (const ms of [10_000, 2_000]) {
      expect(await consumer.receive({ max: 1, signal: AbortSignal.timeout(ms) })).toEqual([]);
    }
    await proxy.accept();
    const waiting = take(consumer, 1, 20_000);
    const admin = new Redis(server.port);
    await eventually(async () => {
      const [, listeners] = (await admin.pubsub('NUMSUB', '__redis__:invalidate')) as [string, number];
      expect(Number(listeners)).toBe(1);
    });
    await direct.broker.publish([outgoing('q')]);
    await waiting;
    admin.disconnect();
  });

  it('to an acknowledgement: it stands, and to ask again does no harm', async () => {
    const consumer = await opened.consume(['q']);
    await direct.broker.publish([outgoing('q')]);
    const [held] = await take(consumer, 1);
    const lost = proxy.loseReply('evalsha');
    await expect(consumer.settle([ack(held as never)])).rejects.toSatisfy((error) =>
      isTaskQueueError(error, 'BROKER_UNAVAILABLE'),
    );
    await lost;
    await eventually(async () => expect(await consumer.settle([ack(held as never)])).toEqual(['lost']));
    expect((await direct.inspector.queues())[0]).toMatchObject({ ready: 0, leased: 0 });
  });

  it('by a connection that is open and silent: it is given up, and consumption goes on', async () => {
    const consumer = await opened.consume(['q']);
    const waiting = take(consumer, 1, 30_000);
    await proxy.nextBytes('to-server', 'bzpopmin');
    proxy.silence('both');
    const began = performance.now();
    // As a dead path does: those connections stay silent for ever, new ones work.
    const dead = [...proxy.connections];
    for (const one of dead) one.silence('both');
    proxy.resume();
    for (const one of dead) one.silence('both');
    const message = outgoing('q');
    await direct.broker.publish([message]);
    expect((await waiting).map(idOf)).toEqual([message.id]);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
