import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTaskQueueError, silentLogger } from '@taskqueue/core';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { SQLITE_LIBRARIES, createDriver, sqliteDriver, typeormDriver } from '../src/index.js';
import { isBusy } from '../src/sqlite/sqlite-driver.js';
import { sqliteDatabase } from './databases.js';

const isConfigurationError = (error: unknown): boolean => isTaskQueueError(error, 'CONFIGURATION_INVALID');

describe('typeormDriver', () => {
  it.each([{}, { url: 'sqlite:a', dataSource: () => Promise.reject(new Error()) }, { url: 'sqlite:a', pollMs: 1 }])(
    'refuses options that cannot be used: %o',
    (options) => {
      expect(() => typeormDriver(options as never)).toThrow(expect.toSatisfy(isConfigurationError));
    },
  );

  it.each([
    'sqlite::memory:',
    'sqlite:',
    'mysql://localhost/x',
    'sqlite:./100%.sqlite',
    'postgres://me:secret%zz@127.0.0.1/app',
    'postgres://127.0.0.1/app%',
  ])('refuses %s', async (url) => {
    const failure: unknown = await createDriver(url)
      .connect({ logger: silentLogger })
      .catch((error: unknown) => error);
    expect(failure).toSatisfy(isConfigurationError);
    expect(String(failure)).not.toContain('secret');
  });

  it('refuses a data source in memory, and one of another kind', async () => {
    const dataSource = new DataSource({ type: 'better-sqlite3', driver: sqliteDriver(), database: ':memory:' });
    await expect(typeormDriver({ dataSource }).connect({ logger: silentLogger })).rejects.toSatisfy(
      isConfigurationError,
    );
  });

  it('tells where it is, without credentials', () => {
    expect(createDriver('postgres://me:secret@db.example:5433/app?schema=q&password=x').describe()).toBe(
      'postgres://db.example:5433/app',
    );
  });

  it('reports a server that is not there as BROKER_UNAVAILABLE, and may connect later', async () => {
    const driver = createDriver('postgres://nobody:secret@127.0.0.1:1/none');
    for (const _attempt of [1, 2]) {
      const failure = await driver.connect({ logger: silentLogger }).catch((error: unknown) => error);
      expect(isTaskQueueError(failure, 'BROKER_UNAVAILABLE')).toBe(true);
      expect(String(failure)).not.toContain('secret');
    }
    const [outcome] =
      (await driver.broker?.publish([
        {
          id: 'a',
          task: 't',
          queue: 'q',
          priority: 0,
          message: { headers: {}, properties: {}, contentType: '', contentEncoding: '', body: new Uint8Array() },
        },
      ])) ?? [];
    expect(outcome?.status).toBe('refused');
    await driver.close();
  });

  it('connects and closes any number of times, and takes a data source that is made later', async () => {
    const database = sqliteDatabase();
    const driver = typeormDriver({ dataSource: () => Promise.resolve(database.dataSource()), synchronous: 'normal' });
    await driver.close();
    await Promise.all([driver.connect({ logger: silentLogger }), driver.connect({ logger: silentLogger })]);
    await driver.ping();
    expect(driver.name).toBe('sqlite');
    await Promise.all([driver.close(), driver.close()]);
    await expect(driver.ping()).rejects.toSatisfy((error) => isTaskQueueError(error, 'BROKER_UNAVAILABLE'));
    await driver.connect({ logger: silentLogger });
    await driver.ping();
    await driver.close();
    await database.dispose();
  });

  it('leaves the tables to the application when it says so', async () => {
    const database = sqliteDatabase();
    const driver = typeormDriver({ url: database.url, migrations: 'manual' });
    await driver.connect({ logger: silentLogger });
    await expect(driver.broker?.declare([{ name: 'q' }])).rejects.toThrow(/no such table/);
    await driver.close();
    await database.dispose();
  });
});

describe('sqliteDriver', () => {
  const installed = SQLITE_LIBRARIES.filter((library) => {
    try {
      return sqliteDriver(library) !== undefined;
    } catch {
      return false;
    }
  });

  it.each(installed)('makes %s look like better-sqlite3', (library) => {
    const Database = sqliteDriver(library);
    const database = new Database(':memory:');
    database.exec('create table t (a, b)');
    const insert = database.prepare('insert into t values (?, ?)');
    expect(insert.reader).toBe(false);
    expect(insert.run('x', 1)).toMatchObject({ changes: 1 });
    const select = database.prepare('select * from t where a = ?');
    expect(select.reader).toBe(true);
    expect({ ...(select.get('x') as object) }).toEqual({ a: 'x', b: 1 });
    expect(select.all('y')).toEqual([]);
    expect(database.prepare('update t set b = 2 returning b').reader).toBe(true);
    expect(database.pragma('user_version', { simple: true })).toBe(0);
    database.close();
    database.close();
    expect(database.open).toBe(false);
  });

  it.each(installed)('has %s wait for a lock as long as it is told', (library) => {
    const Database = sqliteDriver(library);
    for (const [options, timeout] of [
      [{ timeout: 7 }, 7],
      [{}, 5_000],
    ] as const) {
      const database = new Database(':memory:', options);
      expect(database.pragma('busy_timeout', { simple: true })).toBe(timeout);
      database.close();
    }
  });

  it.each(installed)('has %s tell by a code that the file is locked, and that the disk is full', (library) => {
    const Database = sqliteDriver(library);
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-'));
    const path = join(folder, 'codes.sqlite');
    const [database, other] = [new Database(path, { timeout: 1 }), new Database(path, { timeout: 1 })];
    database.exec('create table t (a)');
    const text = 'x'.repeat(100_000);
    const insert = 'insert into t values (?)';
    const ways: (() => unknown)[] = [
      () => database.exec(`insert into t values ('${text}')`),
      () => database.prepare(insert).run(text),
      () => database.prepare(`${insert} returning a`).all(text),
      () => database.prepare(`${insert} returning a`).get(text),
    ];
    other.exec('begin immediate');
    for (const way of ways) expect(way).toThrow(expect.toSatisfy(isBusy));
    other.exec('rollback');
    database.pragma(`max_page_count = ${String(database.pragma('page_count', { simple: true }))}`);
    for (const way of ways) {
      expect(way).toThrow(
        expect.toSatisfy(({ code, errcode }) => code === 'SQLITE_FULL' || errcode === 13, 'SQLITE_FULL'),
      );
    }
    for (const one of [database, other]) one.close();
    rmSync(folder, { recursive: true });
  });

  it('names every library that it tried when none is there', () => {
    expect(() => sqliteDriver('no-such-library' as never)).toThrow(/no-such-library/);
  });
});
