import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import type { Channel, Publication } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { amqpUrl } from './broker-url.js';
import { openDriver } from './open-driver.js';

const publication = (channel: Channel, text: string): Publication => ({
  channel,
  message: {
    headers: {},
    properties: {},
    contentType: 'text/plain',
    contentEncoding: 'utf-8',
    body: Buffer.from(text),
  },
});

describe.skipIf(amqpUrl === undefined)('pub/sub', () => {
  it('hears again after the connection was lost, and speaks to exchanges that were deleted', async () => {
    const url = new URL(amqpUrl as string);
    const proxy = await FaultProxy.open({ host: url.hostname, port: Number(url.port || 5_672) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const opened = await openDriver({ url: url.href });
    const { pubsub } = opened.driver;
    const channel: Channel = { exchange: `x-${randomUUID()}`, kind: 'fanout', key: '' };
    const heard: string[] = [];
    const subscription = pubsub!.subscribe([channel], ({ message }) =>
      heard.push(Buffer.from(message.body).toString()),
    );
    await subscription.ready;
    proxy.cut();
    await eventually(async () => {
      await pubsub!.publish([publication(channel, 'after the cut')]);
      expect(heard).toContain('after the cut');
    }, 20_000);
    const admin = await connect(amqpUrl as string);
    await (await admin.createChannel()).deleteExchange(channel.exchange);
    await admin.close();
    await eventually(() => pubsub!.publish([publication(channel, 'to nobody')]), 20_000);
    await subscription.close();
    await opened.dispose();
    await proxy.close();
  });

  it('declares exchanges as Celery does', async () => {
    const opened = await openDriver({ url: amqpUrl as string });
    const names = { topic: `t-${randomUUID()}`, fanout: `f-${randomUUID()}`, direct: `d-${randomUUID()}` } as const;
    for (const kind of ['topic', 'fanout', 'direct'] as const) {
      await opened.driver.pubsub?.publish([
        publication({ exchange: names[kind], kind, key: kind === 'fanout' ? '' : 'a' }, 'x'),
      ]);
    }
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    // Another declaration would close the channel.
    await channel.assertExchange(names.topic, 'topic', { durable: true });
    await channel.assertExchange(names.fanout, 'fanout', { durable: false });
    await expect(channel.assertExchange(names.direct, 'direct', { durable: false })).resolves.toBeDefined();
    await admin.close();
    await opened.dispose();
  });

  it('says that it is not connected', async () => {
    const opened = await openDriver({ url: amqpUrl as string });
    await opened.dispose();
    const channel: Channel = { exchange: 'x', kind: 'fanout', key: '' };
    await expect(opened.driver.pubsub?.subscribe([channel], () => undefined).ready).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    });
    await expect(opened.driver.pubsub?.publish([publication(channel, 'x')])).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    });
  });
});
