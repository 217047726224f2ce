import { randomUUID } from 'node:crypto';
import type { Channel, Driver, EncodedMessage, PubSub } from '@taskqueue/core';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { createDriver } from '../src/index.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { PrivateRedis } from './private-redis.js';

const EVENTS: Channel = { exchange: 'celeryev', kind: 'topic', key: '#' };
const COMMANDS: Channel = { exchange: 'celery.pidbox', kind: 'fanout', key: '' };
const SEPARATOR = '\x06\x16';

/** An envelope as Python sends it; captured from Celery 5.2 on Redis, but for the body. */
function fromPython(exchange: string, key: string, body: object): string {
  return JSON.stringify({
    body: Buffer.from(JSON.stringify(body)).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers: { hostname: 'w1@peer' },
    properties: {
      delivery_mode: 1,
      delivery_info: { exchange, routing_key: key },
      priority: 0,
      body_encoding: 'base64',
      delivery_tag: randomUUID(),
    },
  });
}

function said(body: object, headers: Record<string, unknown> = {}): EncodedMessage {
  return {
    headers,
    properties: { delivery_mode: 1 },
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    body: Buffer.from(JSON.stringify(body)),
  };
}

const bodyOf = (message: EncodedMessage): unknown => JSON.parse(Buffer.from(message.body).toString('utf8'));

describe.skipIf(!redisIsInstalled)('pub/sub on Redis', { timeout: 60_000 }, () => {
  let server: PrivateRedis;
  let proxy: FaultProxy;
  let driver: Driver;
  let pubsub: PubSub;

  beforeEach(async () => {
    server = await PrivateRedis.start();
    proxy = await FaultProxy.open({ host: '127.0.0.1', port: server.port });
    driver = createDriver(`redis://127.0.0.1:${proxy.port}/0`);
    await driver.connect({ logger: silentLogger });
    pubsub = driver.pubsub as PubSub;
  });
  afterEach(async () => {
    await driver.close();
    await proxy.close();
    await server.dispose();
  });

  it('hears Celery’s events, and is heard where its monitors listen', async () => {
    const heard: [string, unknown, unknown][] = [];
    const subscription = pubsub.subscribe([EVENTS], ({ channel, message }) => {
      heard.push([channel.key, message.headers['hostname'], bodyOf(message)]);
    });
    await subscription.ready;
    const event = { type: 'worker-heartbeat', hostname: 'w1@peer', freq: 2 };
    await server.command('publish', '/0.celeryev/worker.heartbeat', fromPython('celeryev', 'worker.heartbeat', event));
    await server.command('publish', '/0.celeryev/task.multi', 'no message at all');
    await server.command('publish', '/1.celeryev/worker.heartbeat', fromPython('celeryev', 'worker.heartbeat', event));
    await eventually(() => expect(heard).toEqual([['worker.heartbeat', 'w1@peer', event]]));
    await subscription.close();

    const monitor = server.admin.duplicate();
    const texts: [string, string][] = [];
    monitor.on('pmessage', (_pattern, channel: string, text: string) => texts.push([channel, text]));
    await monitor.psubscribe('/0.celeryev/*');
    const channel: Channel = { ...EVENTS, key: 'worker.online' };
    await pubsub.publish([{ channel, message: said({ type: 'worker-online' }, { hostname: 'w2@peer' }) }]);
    await eventually(() => expect(texts.length).toBe(1));
    monitor.disconnect();
    const [[name, text]] = texts as [[string, string]];
    expect(name).toBe('/0.celeryev/worker.online');
    const { properties, ...envelope } = JSON.parse(text) as { properties: Record<string, unknown> };
    expect(envelope).toEqual({
      body: Buffer.from('{"type":"worker-online"}').toString('base64'),
      'content-encoding': 'utf-8',
      'content-type': 'application/json',
      headers: { hostname: 'w2@peer' },
    });
    expect(properties).toEqual({
      delivery_mode: 1,
      delivery_info: { exchange: 'celeryev', routing_key: 'worker.online' },
      priority: 0,
      body_encoding: 'base64',
      delivery_tag: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    });
  });

  it('hears Celery’s commands, and answers into the list that its client reads', async () => {
    // As Python's client does before it asks.
    const oid = randomUUID();
    const queue = `${oid}.reply.celery.pidbox`;
    await server.command('sadd', '_kombu.binding.reply.celery.pidbox', [oid, '', queue].join(SEPARATOR));
    await server.command('sadd', '_kombu.binding.reply.celery.pidbox', ['another', '', 'another.list'].join(SEPARATOR));
    const subscription = pubsub.subscribe([COMMANDS], ({ message }) => {
      const { ticket, reply_to } = bodyOf(message) as Record<string, { exchange: string; routing_key: string }>;
      const to = reply_to as { exchange: string; routing_key: string };
      const channel: Channel = { exchange: to.exchange, kind: 'direct', key: to.routing_key };
      void pubsub.publish([{ channel, message: said({ 'w2@peer': { ok: 'pong' } }, { ticket, clock: 1 }) }]);
    });
    await subscription.ready;
    const request = { method: 'ping', ticket: 't1', reply_to: { exchange: 'reply.celery.pidbox', routing_key: oid } };
    await server.command('publish', '/0.celery.pidbox', fromPython('celery.pidbox', '', request));
    const text = await eventually(async () => {
      const taken = (await server.command('rpop', queue)) as string | null;
      expect(taken).not.toBeNull();
      return taken as string;
    });
    const reply = JSON.parse(text) as { headers: object; body: string; properties: { delivery_info: object } };
    expect(reply.headers).toEqual({ ticket: 't1', clock: 1 });
    expect(reply.properties.delivery_info).toEqual({ exchange: 'reply.celery.pidbox', routing_key: oid });
    expect(Buffer.from(reply.body, 'base64').toString()).toBe('{"w2@peer":{"ok":"pong"}}');
    expect(await server.command('exists', 'another.list')).toBe(0);
    await subscription.close();
  });

  it('asks Celery’s workers, reads their answers, and leaves nothing behind', async () => {
    const oid = randomUUID();
    const heard: unknown[] = [];
    const replies: Channel = { exchange: 'reply.celery.pidbox', kind: 'direct', key: oid };
    const subscription = pubsub.subscribe([replies], ({ message }) => heard.push(bodyOf(message)));
    await subscription.ready;
    const list = `${oid}.reply.celery.pidbox`;
    expect(await server.command('smembers', '_kombu.binding.reply.celery.pidbox')).toEqual([
      [oid, '', list].join(SEPARATOR),
    ]);
    await server.command('lpush', list, fromPython('reply.celery.pidbox', oid, { 'w1@peer': { ok: 'pong' } }));
    await server.command('lpush', list, fromPython('reply.celery.pidbox', oid, { 'w2@peer': { ok: 'pong' } }));
    await eventually(() => expect(heard).toEqual([{ 'w1@peer': { ok: 'pong' } }, { 'w2@peer': { ok: 'pong' } }]));
    await subscription.close();
    expect(await server.command('exists', list, '_kombu.binding.reply.celery.pidbox')).toBe(0);
    await eventually(async () => {
      for (const name of ['pubsub', 'mailbox']) expect(await server.clients(`taskqueue:${name}`)).toEqual([]);
    });
  });

  it('lets an answer that nobody reads expire', async () => {
    const list = 'gone.reply';
    await server.command('sadd', '_kombu.binding.reply', ['gone', '', list].join(SEPARATOR));
    await pubsub.publish([{ channel: { exchange: 'reply', kind: 'direct', key: 'gone' }, message: said({}) }]);
    expect(await server.command('llen', list)).toBe(1);
    expect(Number(await server.command('pttl', list))).toBeGreaterThan(50_000);
  });

  it('puts the prefix before its names, and the number of the database into them', async () => {
    const other = createDriver(`${server.url.replace(/0$/, '3')}?keyPrefix=app:`);
    await other.connect({ logger: silentLogger });
    const subscription = other.pubsub?.subscribe([EVENTS, COMMANDS], () => undefined);
    await subscription?.ready;
    expect(await server.command('pubsub', 'channels')).toContain('app:/3.celery.pidbox');
    expect(await server.command('pubsub', 'numpat')).toBe(1);
    await subscription?.close();
    await other.close();
  });

  it('tells a user who may not listen or speak', async () => {
    await server.command('acl', 'setuser', 'deaf', 'on', '>secret', '~*', '+@all', 'resetchannels', '&/0.allowed*');
    await server.command('acl', 'setuser', 'deaf', '-sadd', '-brpop');
    const limited = createDriver(server.url.replace('//', '//deaf:secret@'));
    await limited.connect({ logger: silentLogger });
    const isDenied = (error: unknown): boolean => isTaskQueueError(error, 'CAPABILITY_UNSUPPORTED');
    const allowed: Channel = { exchange: 'allowed', kind: 'fanout', key: '' };
    const well = limited.pubsub?.subscribe([allowed], () => undefined);
    for (const channel of [EVENTS, COMMANDS, { exchange: 'x', kind: 'direct', key: 'y' } as const]) {
      const denied = limited.pubsub?.subscribe([channel], () => undefined);
      await expect(denied?.ready).rejects.toSatisfy(isDenied);
      await denied?.close();
    }
    await well?.ready;
    await expect(limited.pubsub?.publish([{ channel: COMMANDS, message: said({}) }])).rejects.toSatisfy(isDenied);
    await limited.close();
  });

  describe('after a fault', () => {
    /** Says something until it is heard; everything else may have been lost. */
    const isHeardOn = async (channel: Channel, heard: unknown[], withinMs = 10_000): Promise<void> => {
      heard.length = 0;
      await eventually(async () => {
        await pubsub.publish([{ channel, message: said({}) }]);
        expect(heard.length).toBeGreaterThan(0);
      }, withinMs);
    };
    const listen = async (channel: Channel): Promise<unknown[]> => {
      const heard: unknown[] = [];
      await pubsub.subscribe([channel], (publication) => heard.push(publication)).ready;
      return heard;
    };
    const replies: Channel = { exchange: 'reply', kind: 'direct', key: randomUUID() };
    const event: Channel = { ...EVENTS, key: 'task.sent' };

    it.each([
      ['pubsub', EVENTS, event],
      ['pubsub', COMMANDS, COMMANDS],
      ['mailbox', replies, replies],
    ])('listens again when its %s connection was killed', async (name, listened, spoken) => {
      const heard = await listen(listened);
      const [client] = await server.clients(`taskqueue:${name}`);
      await server.command('client', 'kill', 'id', client?.id as string);
      const later = pubsub.subscribe([listened], () => undefined);
      await isHeardOn(spoken, heard);
      await later.ready;
    });

    it('listens again, to everything, when the server was restarted without its data', async () => {
      const [events, answers] = [await listen(EVENTS), await listen(replies)];
      await server.kill();
      await server.start(['--appendonly', 'no']);
      await isHeardOn(event, events, 15_000);
      await isHeardOn(replies, answers, 15_000);
    });

    it('listens again when its connections went silent', async () => {
      const [events, answers] = [await listen(EVENTS), await listen(replies)];
      for (const connection of proxy.connections) connection.silence();
      await isHeardOn(event, events, 15_000);
      await isHeardOn(replies, answers, 15_000);
    });

    it('says when it is in force again, and not before', async () => {
      await listen(EVENTS);
      await proxy.refuse();
      proxy.cut();
      const heard: unknown[] = [];
      // Before the driver can know that its connections are gone. To events it listened already.
      const later = pubsub.subscribe([COMMANDS, replies], (publication) => heard.push(publication));
      let isReady = false;
      const setReady = (): void => void (isReady = true);
      later.ready.then(setReady, () => undefined);
      const again = pubsub.subscribe([EVENTS], () => undefined);
      again.ready.then(setReady, () => undefined);
      await expect(pubsub.publish([{ channel: COMMANDS, message: said({}) }])).rejects.toSatisfy((error) =>
        isTaskQueueError(error, 'BROKER_UNAVAILABLE'),
      );
      await expect(driver.ping()).rejects.toThrow();
      expect(isReady).toBe(false);
      await proxy.accept();
      await Promise.all([later.ready, again.ready]);
      await isHeardOn(COMMANDS, heard);
      await isHeardOn(replies, heard);
    });

    it('closes while the server is away', async () => {
      const subscription = pubsub.subscribe([EVENTS, replies], () => undefined);
      await subscription.ready;
      await proxy.refuse();
      proxy.cut();
      const pending = pubsub.subscribe([COMMANDS, { ...replies, key: 'x' }], () => undefined);
      await Promise.all([subscription.close(), pending.close()]);
      await expect(pending.ready).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
      await proxy.accept();
    });
  });
});
