import type { Driver, TaskHandle } from '@taskqueue/core';
import {
  composeStores,
  defineTask,
  deferred,
  isTaskQueueError,
  plainHandler,
  silentLogger,
  systemClock,
  TaskRegistry,
  TaskSender,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SqliteDatabase, SqliteOpenOptions } from '../../src/index.js';
import { sqliteDriver, typeormDriver } from '../../src/index.js';
import type { TestDatabase } from '../databases.js';
import { sqliteDatabase } from '../databases.js';

/** Handles of one file, whose disk can be made full: SQLite itself then says SQLITE_FULL, as it does for a real one. */
class Disk {
  private readonly handles = new Set<SqliteDatabase>();
  readonly library = this.limited();

  fill(): void {
    for (const handle of this.open()) {
      const pages = Number(handle.pragma('page_count', { simple: true }));
      handle.pragma(`max_page_count = ${pages}`);
    }
  }

  free(): void {
    for (const handle of this.open()) handle.pragma('max_page_count = 1000000');
  }

  private open(): SqliteDatabase[] {
    return [...this.handles].filter((handle) => handle.open);
  }

  private limited() {
    const { handles } = this;
    return class extends sqliteDriver() {
      constructor(path: string, options?: SqliteOpenOptions) {
        super(path, options);
        handles.add(this);
      }
    };
  }
}

describe('a disk that is full', () => {
  let database: TestDatabase;
  let disk: Disk;
  let driver: Driver;
  let sender: TaskSender;
  let worker: Worker | undefined;
  let warnings: string[] = [];
  const registry = (): TaskRegistry => {
    const tasks = new TaskRegistry();
    const add = (name: string, body: (...args: never[]) => unknown) => {
      const definition = defineTask(name);
      tasks.register({ definition, handler: plainHandler(definition, body), source: name });
    };
    add('echo', (text: string) => text);
    add('grow', async () => {
      running.resolve();
      await go.promise;
      runs += 1;
      return 'x'.repeat(200_000);
    });
    return tasks;
  };
  let runs = 0;
  let running = deferred();
  let go = deferred();

  beforeEach(async () => {
    runs = 0;
    running = deferred();
    go = deferred();
    database = sqliteDatabase();
    disk = new Disk();
    driver = typeormDriver({ dataSource: () => database.dataSource({ driver: disk.library } as never) });
    await driver.connect({ logger: silentLogger });
    const stores = composeStores({ broker: driver });
    const settings = validateSettings({ worker: { lease: '30s', logTasks: false } });
    const common = { stores, settings, clock: systemClock, registry: registry() };
    sender = new TaskSender(common);
    warnings = [];
    const logger = { ...silentLogger, warn: (text: unknown) => void warnings.push(String(text)) };
    worker = new Worker({ ...common, logger, random: () => 0.5 });
  });

  afterEach(async () => {
    disk.free();
    await worker?.stop({ graceMs: 2_000 });
    await driver.close();
    await database.dispose();
  });

  const fill = async (): Promise<unknown> => {
    disk.fill();
    // What the file has left over within its pages is used up first.
    for (;;) {
      const error = await sender.sendTask('echo', ['y'.repeat(100_000)], {}, { retry: false, queue: 'later' }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error !== undefined) return error;
    }
  };

  it('refuses a call with a code and says why, and takes it when there is room', async () => {
    await sender.sendTask('echo', ['before']);
    const error = await fill();
    expect(isTaskQueueError(error, 'BROKER_UNAVAILABLE')).toBe(true);
    expect(error).toMatchObject({ retryable: true, message: expect.stringMatching(/full[^]*room/) as string });
    await expect(sender.sendMany([{ task: 'echo', args: ['z'.repeat(500_000)] }])).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    });
    await expect(driver.ping()).resolves.toBeUndefined();
    disk.free();
    const handle = await sender.sendTask<string>('echo', ['after']);
    await worker?.start();
    expect(await handle.get({ timeout: '10s' })).toBe('after');
  });

  it('takes a call that is tried again until there is room', async () => {
    await fill();
    const retry = { max: 50, delay: 20, maxDelay: 20 };
    const coming = sender.sendTask<string>('echo', ['w'.repeat(100_000)], {}, { retry });
    const freed = new Promise<void>((resolve) => setImmediate(resolve)).then(() => disk.free());
    const handle = await coming;
    await freed;
    expect(await handle.state()).toBe('PENDING');
  });

  it('holds up the end of a task, which is recorded once there is room, without a second run', async () => {
    await worker?.start();
    const handle = await sender.sendTask<string>('grow');
    await running.promise;
    await fill();
    go.resolve();
    // It is tried again and again while the task's lease stands.
    await eventually(() => expect(warnings.filter((text) => text.startsWith('Settling 1 message'))).toHaveLength(3));
    expect(worker?.state).toBe('running');
    expect(await handle.ready()).toBe(false);
    disk.free();
    expect((await handle.get({ timeout: '20s' })).length).toBe(200_000);
    expect(runs).toBe(1);
    const next: TaskHandle<string> = await sender.sendTask('echo', ['next']);
    expect(await next.get({ timeout: '10s' })).toBe('next');
  });
});
