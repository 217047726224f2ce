import { randomUUID } from 'node:crypto';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectSocket, createServer } from 'node:net';
import { connect } from 'amqplib';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { amqpUrl } from './broker-url.js';
import { ack, idOf, openDriver, take } from './open-driver.js';

/** Stands before a server, and says that it is another version. What clients send can be held up. */
class Pretender {
  private readonly links = new Map<Socket, Socket>();
  private readonly server: Server;

  constructor(target: URL, real: RegExp, version: string) {
    this.server = createServer((client) => {
      const upstream = connectSocket(Number(target.port || 5_672), target.hostname);
      this.links.set(client, upstream);
      upstream.once('data', (greeting: Buffer) => {
        const text = greeting.toString('latin1').replace(real, (found) => version.padEnd(found.length, '0'));
        client.write(Buffer.from(text, 'latin1'));
        upstream.pipe(client);
      });
      client.pipe(upstream);
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  hold(): void {
    for (const [client, upstream] of this.links) client.unpipe(upstream);
  }

  letGo(): void {
    for (const [client, upstream] of this.links) client.pipe(upstream);
  }

  close(): void {
    this.server.close();
  }
}

// What 4.3 does cannot be had from 3.10; what it says can.
describe.skipIf(amqpUrl === undefined)('RabbitMQ 4.3', () => {
  let server: Pretender;
  const url = new URL(amqpUrl ?? 'amqp://none');
  beforeAll(async () => {
    server = new Pretender(new URL(url), /(?<=version[^]{5})\d+\.\d+\.\d+/, '4.3.1');
    url.hostname = '127.0.0.1';
    url.port = String(await server.listen());
  });
  afterAll(() => server.close());

  it('that ends a subscription though the queue is there has taken back what was held: it cannot be settled any more', async () => {
    const opened = await openDriver({ url: url.href });
    const queue = `n-${randomUUID().slice(0, 13)}`;
    const consumer = await opened.consume([queue]);
    await opened.broker.publish([outgoing(queue)]);
    const [held] = await take(consumer, 1);
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    // The server ends the subscription, and by the time that it is asked the queue is there.
    server.hold();
    await channel.deleteQueue(queue);
    await channel.assertQueue(queue, { durable: true });
    server.letGo();
    await eventually(async () => expect(await consumer.extend([held!], 1)).toEqual(['lost']));
    expect(await consumer.settle([ack(held!)])).toEqual(['lost']);
    expect(opened.log.filter((line) => line.includes('consumer_timeout'))).toHaveLength(1);
    const next = outgoing(queue);
    await opened.broker.publish([next]);
    const [delivery] = await take(consumer, 1);
    expect(idOf(delivery)).toBe(next.id);
    expect(await consumer.settle([ack(delivery!)])).toEqual(['settled']);
    await admin.close();
    await opened.dispose();
  });
});
