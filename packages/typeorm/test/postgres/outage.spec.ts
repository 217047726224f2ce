import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Driver } from '@taskqueue/core';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDriver } from '../../src/index.js';
import type { TestDatabase } from '../databases.js';
import { administer, testDatabases } from '../databases.js';
import { outgoing } from '../../../../test/support/outgoing.js';

const [, postgres] = await testDatabases();

/** Stands between the driver and the server, and can lose answers, cut connections, and refuse new ones. */
class Link {
  loseAnswers = false;
  refuse = false;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor(private readonly target: { host: string; port: number }) {
    this.server = createServer((client) => this.join(client));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(client: Socket): void {
    if (this.refuse) {
      client.destroy();
      return;
    }
    const server = connect(this.target);
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      if (!this.loseAnswers) client.write(data);
    });
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }
}

describe.skipIf(postgres === undefined)('outages of PostgreSQL', () => {
  let database: TestDatabase;
  let link: Link;
  let driver: Driver;
  let direct: Driver;
  let applicationName: string;

  beforeEach(async () => {
    database = await (postgres as NonNullable<typeof postgres>)[1]();
    const url = new URL(database.url);
    link = new Link({ host: url.hostname, port: Number(url.port || 5432) });
    url.port = String(await link.listen());
    url.hostname = '127.0.0.1';
    // Of this test only: other files run at the same time.
    applicationName = `outage_${url.port}`;
    url.searchParams.set('application_name', applicationName);
    direct = createDriver(database.url);
    await direct.connect({ logger: silentLogger });
    driver = createDriver(url.href);
    await driver.connect({ logger: silentLogger });
  });

  afterEach(async () => {
    await Promise.all([driver.close(), direct.close()]);
    await link.close();
    await database.dispose();
  });

  const consume = async () => {
    const consumer = await driver.broker?.consume({ queues: ['q'], consumerId: 'c', leaseMs: 30_000 });
    if (consumer === undefined) throw new Error('no broker');
    return consumer;
  };

  it('of which every connection is terminated leave the process alive, and work resumes', async () => {
    const consumer = await consume();
    await driver.broker?.publish([outgoing('q')]);
    const [held] = await consumer.receive({ max: 1, signal: AbortSignal.timeout(5_000) });
    const waiting = consumer.receive({ max: 1, signal: AbortSignal.timeout(20_000) }).catch(() => []);
    await administer(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${applicationName}'`,
    );
    await eventually(async () => {
      const [outcome] = (await driver.broker?.publish([outgoing('q')])) ?? [];
      expect(outcome?.status).toBe('accepted');
    });
    let got = await waiting;
    while (got.length === 0) {
      got = await consumer.receive({ max: 1, signal: AbortSignal.timeout(5_000) }).catch(() => []);
    }
    const outcomes = await consumer.settle(
      [held, ...got].map((delivery) => ({ kind: 'ack', delivery: delivery as never })),
    );
    expect(outcomes).toEqual(['settled', 'settled']);
    // Wake-ups come again, too: without them the next look would be a second away, many times over.
    await eventually(async () => {
      const next = consumer.receive({ max: 1, signal: AbortSignal.timeout(5_000) });
      await direct.broker?.publish([outgoing('q')]);
      await consumer.settle((await next).map((delivery) => ({ kind: 'ack', delivery })));
    });
  });

  it('while nothing can connect are told, and end', async () => {
    link.refuse = true;
    link.cut();
    const [outcome] = (await driver.broker?.publish([outgoing('q')])) ?? [];
    expect(outcome?.status).toMatch(/refused|unknown/);
    await expect(driver.ping()).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
    link.refuse = false;
    await eventually(() => driver.ping());
  });

  it('answer unknown for a publication whose answer was lost, which is there', async () => {
    const message = outgoing('q');
    link.loseAnswers = true;
    const publishing = driver.broker?.publish([message]);
    await eventually(async () => {
      expect((await direct.inspector?.peek({ queue: 'q', status: 'ready', limit: 1 }))?.length).toBe(1);
    });
    link.cut();
    link.loseAnswers = false;
    expect((await publishing)?.[0]?.status).toBe('unknown');
    await eventually(async () => {
      expect((await driver.broker?.publish([message]))?.[0]?.status).toBe('duplicate');
    });
  });

  it('that lose the answer to a claim do not hide what it leased', async () => {
    const consumer = await consume();
    await direct.broker?.publish([outgoing('q')]);
    const [held] = await consumer.receive({ max: 1, signal: AbortSignal.timeout(5_000) });
    const unseen = outgoing('q');
    await direct.broker?.publish([unseen]);
    link.loseAnswers = true;
    const claiming = consumer.receive({ max: 1, signal: AbortSignal.timeout(15_000) });
    claiming.catch(() => undefined);
    await eventually(async () => {
      expect((await direct.inspector?.peek({ queue: 'q', status: 'leased', limit: 2 }))?.length).toBe(2);
    });
    link.cut();
    link.loseAnswers = false;
    await expect(claiming).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
    const again = await eventually(async () => {
      const got = await consumer.receive({ max: 1, signal: AbortSignal.timeout(1_000) });
      expect(got.length).toBe(1);
      return got;
    });
    expect(again.map((delivery) => [delivery.message.headers['id'], delivery.run, delivery.lostLeases])).toEqual([
      [unseen.id, 2, 0],
    ]);
    const outcomes = await consumer.settle(
      [held, ...again].map((delivery) => ({ kind: 'ack', delivery: delivery as never })),
    );
    expect(outcomes).toEqual(['settled', 'settled']);
    expect(await consumer.extend([held as never], 30_000)).toEqual(['lost']);
  });

  it('whose listener is deaf are bridged by polling', async () => {
    const consumer = await consume();
    const waiting = consumer.receive({ max: 1, signal: AbortSignal.timeout(10_000) });
    await eventually(async () => {
      expect(await isIdle(database)).toBe(true);
    });
    // As somebody who does not announce anything would.
    const { dataSource } = { dataSource: database.dataSource() };
    await dataSource.initialize();
    const schema = new URL(database.url).searchParams.get('schema');
    await dataSource.query(`insert into "${schema}".taskqueue_message (task_id, task, queue, urgency, enqueued_at, envelope, body)
      values ('silent', 't', 'q', 9, 0, '{}', '')`);
    await dataSource.destroy();
    expect((await waiting).length).toBe(1);
  });
});

async function isIdle(database: TestDatabase): Promise<boolean> {
  const dataSource = database.dataSource();
  await dataSource.initialize();
  const schema = new URL(database.url).searchParams.get('schema');
  const rows = (await dataSource.query(`select idle from "${schema}".taskqueue_consumer`)) as { idle: boolean }[];
  await dataSource.destroy();
  return rows.some((row) => row.idle);
}
