import { randomUUID } from 'node:crypto';
import type { Channel, ChannelSubscription, Driver, EncodedMessage, PubSub } from '@taskqueue/core';
import {
  EventDispatcher,
  EventReceiver,
  isTaskQueueError,
  LogicalClock,
  silentLogger,
  systemClock,
} from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BarrierEntity, BarrierMemberEntity, LockEntity, TASK_QUEUE_ENTITIES, typeormDriver } from '../src/index.js';
import { Sweep } from '../src/sql/sweep.js';
import { LateStore } from '../src/sql/late-store.js';
import { SqlBarriers } from '../src/sql-barriers.js';
import { SqlLocks } from '../src/sql-locks.js';
import type { TestDatabase } from './databases.js';
import { administer, testDatabases } from './databases.js';

const isUnavailable = (error: unknown): boolean => isTaskQueueError(error, 'BROKER_UNAVAILABLE');

function said(text: string): EncodedMessage {
  return { headers: {}, properties: {}, contentType: '', contentEncoding: '', body: Buffer.from(text) };
}

for (const [name, open] of await testDatabases()) {
  describe(`coordination on ${name}`, () => {
    let database: TestDatabase;
    let dataSource: DataSource;
    let driver: Driver;

    beforeEach(async () => {
      database = await open();
      dataSource = database.dataSource({ entities: TASK_QUEUE_ENTITIES });
      driver = typeormDriver({ dataSource });
      await driver.connect({ logger: silentLogger });
    });
    afterEach(async () => {
      await driver.close();
      await dataSource.destroy();
      await database.dispose();
    });

    const store = (): LateStore => (driver as unknown as { store: LateStore }).store;

    it('clears away permits of keys that nobody asks for again, and leaves the others', async () => {
      const locks = new SqlLocks(store(), new Sweep(0));
      const request = { owner: 'a', permits: 1 };
      await locks.acquire([
        { ...request, key: 'over', ttlMs: 1 },
        { ...request, key: 'live', ttlMs: 60_000 },
      ]);
      await eventually(async () => {
        await locks.acquire([{ ...request, key: 'other', ttlMs: 60_000 }]);
        const left = await dataSource.getRepository(LockEntity).find({ order: { token: 'asc' } });
        expect(left.map((row) => row.key)).toEqual(['live', 'other']);
      });
    });

    it('clears away barriers that have expired, with their members, and leaves the others', async () => {
      const barriers = new SqlBarriers(store(), new Sweep(0));
      const barrier = { size: 3, body: Buffer.from('x') };
      await barriers.open([
        { ...barrier, id: 'over', ttlMs: 500 },
        { ...barrier, id: 'live', ttlMs: 60_000 },
      ]);
      const arrived = await barriers.arrive(['over', 'live'].map((id) => ({ id, memberId: 'm' })));
      expect(arrived.map((answer) => answer?.arrived)).toEqual([1, 1]);
      await eventually(async () => {
        await barriers.open([{ ...barrier, id: 'other', ttlMs: 60_000 }]);
        const left = await dataSource.getRepository(BarrierEntity).find({ order: { id: 'asc' } });
        expect(left.map((row) => [row.id, row.arrived])).toEqual([
          ['live', 1],
          ['other', 0],
        ]);
      });
      const members = await dataSource.getRepository(BarrierMemberEntity).find();
      expect(members.map((row) => row.barrierId)).toEqual(['live']);
    });

    it('opens a barrier anew when the one of that id has expired', async () => {
      const { barriers } = driver;
      await barriers?.open([{ id: 'b', size: 2, ttlMs: 100, body: Buffer.from('old') }]);
      await barriers?.arrive([{ id: 'b', memberId: 'm' }]);
      await eventually(async () => {
        const [row] = await dataSource.getRepository(BarrierEntity).find();
        expect(row?.expiresAt).toBeLessThan(Date.now());
      });
      await barriers?.open([{ id: 'b', size: 1, ttlMs: 60_000, body: Buffer.from('new') }]);
      // Nothing of the old one is counted.
      const [answer] = (await barriers?.arrive([{ id: 'b', memberId: 'n' }])) ?? [];
      expect(answer).toEqual({ completed: true, arrived: 1, size: 1, body: Buffer.from('new') });
    });

    it('carries events, one by one and in lists', async () => {
      const { pubsub } = driver;
      const logger = silentLogger;
      const heard: string[] = [];
      const ear = new EventReceiver({ pubsub, logger }).receive((event) => {
        heard.push('id' in event ? event.id : event.type);
      });
      await ear.ready;
      const dispatcher = new EventDispatcher({
        pubsub: pubsub as PubSub,
        hostname: 'w@host',
        clock: systemClock,
        logicalClock: new LogicalClock(),
        logger,
      });
      const facts = { intervalMs: 0, active: 0, processed: 0, loadAverage: [], software: '', version: '', system: '' };
      const ids = Array.from({ length: 60 }, (_, at) => `t${at}`);
      dispatcher.emit('worker-online', facts);
      for (const id of ids) dispatcher.emit('task-started', { id });
      dispatcher.emit('worker-offline', facts);
      await dispatcher.close();
      await eventually(() => expect(heard).toHaveLength(62));
      expect(heard.toSorted()).toEqual(['worker-online', ...ids, 'worker-offline'].toSorted());
      expect(dispatcher.lost).toBe(0);
      await ear.close();
    });

    it('refuses to say what is far too long, and says nothing of the rest', async () => {
      const channel: Channel = { exchange: randomUUID(), kind: 'fanout', key: '' };
      const heard: string[] = [];
      const subscription = driver.pubsub?.subscribe([channel], ({ message }) => heard.push(String(message.body)));
      await subscription?.ready;
      const attempt = driver.pubsub?.publish(
        [said('small'), said('x'.repeat(5_000_000))].map((message) => ({ channel, message })),
      );
      await expect(attempt).rejects.toSatisfy((error) => isTaskQueueError(error, 'MESSAGE_TOO_LARGE'));
      await driver.pubsub?.publish([{ channel, message: said('after') }]);
      await eventually(() => expect(heard).toEqual(['after']));
      await subscription?.close();
    });

    it('refuses what is asked for before it is connected, and after it was closed', async () => {
      const channel: Channel = { exchange: randomUUID(), kind: 'fanout', key: '' };
      const listening = driver.pubsub?.subscribe([channel], () => undefined);
      const unconnected = typeormDriver({ dataSource });
      await driver.close();
      for (const closed of [unconnected, driver]) {
        const subscription = closed.pubsub?.subscribe([channel], () => undefined);
        await expect(subscription?.ready).rejects.toSatisfy(isUnavailable);
        await subscription?.close();
        await expect(closed.pubsub?.publish([{ channel, message: said('') }])).rejects.toSatisfy(isUnavailable);
        await expect(closed.locks?.holders('k')).rejects.toSatisfy(isUnavailable);
        await expect(closed.barriers?.discard(['b'])).rejects.toSatisfy(isUnavailable);
      }
      await listening?.close();
    });

    it('rejects `ready` of a subscription that is closed at once', async () => {
      const subscription = driver.pubsub?.subscribe([{ exchange: 'x', kind: 'fanout', key: '' }], () => undefined);
      await Promise.all([expect(subscription?.ready).rejects.toSatisfy(isUnavailable), subscription?.close()]);
    });
  });
}

const databases = await testDatabases();
const [[, openSqlite]] = databases as [(typeof databases)[number]];
const openPostgres = databases[1]?.[1];

describe('pub/sub on sqlite', () => {
  it('says what is said inside a transaction when that commits, and nothing of it when it does not', async () => {
    const database = await openSqlite();
    const dataSource = database.dataSource();
    const driver = typeormDriver({ dataSource });
    await driver.connect({ logger: silentLogger });
    const channel: Channel = { exchange: 'x', kind: 'fanout', key: '' };
    const heard: string[] = [];
    const subscription = driver.pubsub?.subscribe([channel], ({ message }) => heard.push(String(message.body)));
    await subscription?.ready;
    const say = (text: string) => driver.pubsub?.publish([{ channel, message: said(text) }]);
    const undone = dataSource.transaction(async () => {
      await say('undone');
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    await dataSource.transaction(async () => {
      await say('done');
      expect(heard).toEqual([]);
    });
    await eventually(() => expect(heard).toEqual(['done']));
    await subscription?.close();
    await driver.close();
    await dataSource.destroy();
    await database.dispose();
  });
});

describe.skipIf(openPostgres === undefined)('pub/sub on postgres', () => {
  it('is heard again when a listening connection was killed, and tells when it is in force', async () => {
    const database = await (openPostgres as NonNullable<typeof openPostgres>)();
    const applicationName = `pubsub_${randomUUID().slice(0, 8)}`;
    const dataSource = database.dataSource({ applicationName } as never);
    const driver = typeormDriver({ dataSource });
    await driver.connect({ logger: silentLogger });
    const channel: Channel = { exchange: 'x', kind: 'topic', key: '#' };
    const pubsub = driver.pubsub as PubSub;
    const heard: string[] = [];
    const subscription = pubsub.subscribe([channel], (publication) => heard.push(publication.channel.key));
    await subscription.ready;
    await administer(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${applicationName}' and query like 'listen%'`,
    );
    const later: ChannelSubscription = pubsub.subscribe([channel], () => undefined);
    await eventually(async () => {
      await pubsub.publish([{ channel: { ...channel, key: 'again' }, message: said('') }]);
      expect(heard).toContain('again');
    });
    await later.ready;
    heard.length = 0;
    await pubsub.publish([{ channel: { ...channel, key: 'now' }, message: said('') }]);
    await eventually(() => expect(heard).toContain('now'));
    const ears = async (): Promise<number> => {
      const rows = (await dataSource.query(
        `select 1 from pg_stat_activity where application_name = $1 and query like 'listen "taskqueue\\_' || repeat('_', 40) || '"'`,
        [applicationName],
      )) as unknown[];
      return rows.length;
    };
    expect(await ears()).toBe(1);
    await Promise.all([subscription.close(), later.close()]);
    await eventually(async () => expect(await ears()).toBe(0));
    await driver.close();
    await dataSource.destroy();
    await database.dispose();
  });
});
