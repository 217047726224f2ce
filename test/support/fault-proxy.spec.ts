import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from './fault-proxy.js';

/** Answers each line with `re: <line>`, and keeps what it got and how its connections ended. */
class EchoServer {
  readonly got: string[] = [];
  readonly ends: ('end' | 'reset')[] = [];
  readonly sockets = new Set<Socket>();
  private server: Server;

  async listen(): Promise<number> {
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on('data', (bytes) => {
        this.got.push(String(bytes));
        socket.write(`re: ${String(bytes)}`);
      });
      socket.on('end', () => this.ends.push('end'));
      socket.on('error', () => this.ends.push('reset'));
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** A connected client, and everything that it hears. */
class Client {
  heard = '';
  error: string | undefined;
  ended = false;

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => (this.heard += String(bytes)));
    socket.on('error', (error) => (this.error = (error as NodeJS.ErrnoException).code));
    socket.on('end', () => (this.ended = true));
  }

  static async open(port: number): Promise<Client> {
    const client = new Client(connect({ port, host: '127.0.0.1' }));
    await once(client.socket, 'connect');
    return client;
  }

  say(text: string): void {
    this.socket.write(text);
  }

  hears(text: string): Promise<void> {
    return eventually(() => expect(this.heard).toBe(text));
  }

  failsWith(code: string): Promise<void> {
    return eventually(() => expect(this.error).toBe(code));
  }
}

describe('FaultProxy', () => {
  let server: EchoServer;
  let proxy: FaultProxy;

  beforeEach(async () => {
    server = new EchoServer();
    proxy = await FaultProxy.open({ host: '127.0.0.1', port: await server.listen() });
  });
  afterEach(async () => {
    await proxy.close();
    await server.close();
  });

  it('hands on bytes and ends, in both directions', async () => {
    const joined = proxy.nextConnection();
    const client = await Client.open(proxy.port);
    client.say('a');
    await client.hears('re: a');
    client.socket.end();
    await eventually(() => expect(client.ended).toBe(true));
    expect(server.ends).toEqual(['end']);
    const connection = await joined;
    await connection.closed;
    expect(connection.arrived).toEqual({ 'to-server': 1, 'to-client': 5 });
    expect(proxy.connections).toEqual([]);
  });

  it('refuses new connections, and leaves those that are open', async () => {
    const client = await Client.open(proxy.port);
    await proxy.refuse();
    await expect(Client.open(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.say('a');
    await client.hears('re: a');
    await proxy.accept();
    const next = await Client.open(proxy.port);
    next.say('b');
    await next.hears('re: b');
  });

  it('resets all connections, on both sides', async () => {
    const clients = [await Client.open(proxy.port), await Client.open(proxy.port)];
    for (const client of clients) client.say('a');
    for (const client of clients) await client.hears('re: a');
    expect(proxy.connections.length).toBe(2);
    proxy.cut();
    for (const client of clients) await client.failsWith('ECONNRESET');
    await eventually(() => expect(server.ends).toEqual(['reset', 'reset']));
  });

  it('goes silent, and tells neither side that the other one has gone', async () => {
    const [staying, leaving] = [await Client.open(proxy.port), await Client.open(proxy.port)];
    await eventually(() => expect(server.sockets.size).toBe(2));
    proxy.silence();
    staying.say('swallowed');
    await proxy.nextBytes('to-server', 'swallowed');
    leaving.socket.end();
    const late = await Client.open(proxy.port);
    late.say('hello?');
    await proxy.nextBytes('to-server', 'hello?');
    expect([server.got, server.ends, staying.heard]).toEqual([[], [], '']);
    proxy.resume();
    await staying.hears('re: swallowed');
    await late.hears('re: hello?');
    await eventually(() => expect(server.ends).toEqual(['end']));
  });

  it('goes silent in one direction only', async () => {
    const client = await Client.open(proxy.port);
    proxy.silence('to-client');
    client.say('a');
    await proxy.nextBytes('to-client');
    expect([server.got, client.heard]).toEqual([['a'], '']);
    proxy.cut();
    await client.failsWith('ECONNRESET');
    proxy.resume();
    const next = await Client.open(proxy.port);
    proxy.silence('to-server');
    const arrived = proxy.nextBytes('to-server');
    next.say('b');
    await arrived;
    for (const socket of server.sockets) socket.write('news');
    await next.hears('news');
    expect(server.got).toEqual(['a']);
  });

  it('silences single connections', async () => {
    const joined = proxy.nextConnection();
    const [dead, live] = [await Client.open(proxy.port), await Client.open(proxy.port)];
    (await joined).silence();
    dead.say('a');
    live.say('b');
    await live.hears('re: b');
    expect([dead.heard, server.got]).toEqual(['', ['b']]);
    proxy.resume();
    await dead.hears('re: a');
  });

  it('delays, and keeps the order', async () => {
    const client = await Client.open(proxy.port);
    proxy.delay(60);
    const started = performance.now();
    client.say('a');
    await client.hears('re: a');
    expect(performance.now() - started).toBeGreaterThanOrEqual(119);
    client.say('b');
    await proxy.nextBytes('to-server', 'b');
    proxy.delay(0);
    client.say('c');
    await eventually(() => expect(client.heard.replaceAll('re: ', '')).toBe('abc'));
  });

  it('cuts after so many bytes', async () => {
    const client = await Client.open(proxy.port);
    const bystander = await Client.open(proxy.port);
    const cut = proxy.cutAfter(7, 'to-client');
    client.say('a');
    await client.hears('re: a');
    bystander.say('x');
    await bystander.hears('re: x');
    client.say('bcd');
    await (
      await cut
    ).closed;
    await eventually(() => expect(client.socket.closed).toBe(true));
    expect(client.heard).toBe('re: are');
    bystander.say('y');
    await bystander.hears('re: xre: y');
  });

  it('cuts a request in the middle', async () => {
    const client = await Client.open(proxy.port);
    const cut = proxy.cutAfter(2, 'to-server');
    client.say('abcdef');
    await cut;
    await client.failsWith('ECONNRESET');
    await eventually(() => expect(server.got).toEqual(['ab']));
  });

  it('loses the reply to a request that took effect, and only that one', async () => {
    const [client, bystander] = [await Client.open(proxy.port), await Client.open(proxy.port)];
    const lost = proxy.loseReply('pay 5');
    client.say('look');
    await client.hears('re: look');
    client.say('please pa');
    await client.hears('re: lookre: please pa');
    // The marker lies across two chunks.
    client.say('y 5 now');
    await lost;
    await client.failsWith('ECONNRESET');
    expect(client.heard).toBe('re: lookre: please pa');
    expect(server.got.join('')).toBe('lookplease pay 5 now');
    await eventually(() => expect(server.ends).toEqual(['end']));
    bystander.say('pay 5');
    await bystander.hears('re: pay 5');
  });
});
