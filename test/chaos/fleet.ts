import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Driver, ResultBackend, ScheduleStore, Stores } from '@taskqueue/core';
import { composeStores, silentLogger, systemClock, TaskRegistry, TaskSender, validateSettings } from '@taskqueue/core';
import * as amqp from '@taskqueue/amqp';
import * as redis from '@taskqueue/redis';
import * as typeorm from '@taskqueue/typeorm';
import type { Store } from './store.js';

type Program = 'worker' | 'producer' | 'beat';

/** One line of the ledger. */
export interface Entry {
  readonly event: 'start' | 'end' | 'accepted';
  readonly id: string;
  readonly name?: string;
  readonly run?: number;
  readonly pid: number;
  readonly at: number;
}

/** Processes on one store of their own, a ledger that they write, and a view of the store from outside. */
export class Fleet {
  /** Pids of what was killed with -9. */
  readonly killed = new Set<number>();
  /** What ended although nobody asked it to. */
  readonly crashed: string[] = [];
  private readonly asked = new Set<ChildProcess>();
  private readonly children = new Set<ChildProcess>();
  private readonly folder = mkdtempSync(join(tmpdir(), 'taskqueue-chaos-'));
  private readonly ledgerFile = join(this.folder, 'ledger.jsonl');

  private constructor(
    private readonly store: Store,
    readonly driver: Driver,
    private readonly stores: Stores,
    readonly sender: TaskSender,
    private readonly environment: Readonly<Record<string, string>>,
  ) {
    writeFileSync(this.ledgerFile, '');
  }

  /** On a store, which is removed with the fleet. */
  static async open(store: Store, environment: Readonly<Record<string, string>> = {}): Promise<Fleet> {
    const { url, resultsUrl = url, schedulesUrl = url } = store;
    const drivers = new Map([...new Set([url, resultsUrl, schedulesUrl])].map((one) => [one, driverFor(one)]));
    const at = (wanted: string): Driver => drivers.get(wanted) as Driver;
    const stores = composeStores({ broker: at(url), results: at(resultsUrl), schedules: at(schedulesUrl) });
    await Promise.all(stores.drivers.map((one) => one.connect({ logger: silentLogger })));
    const sender = new TaskSender({
      stores,
      registry: new TaskRegistry(),
      settings: validateSettings({}),
      clock: systemClock,
    });
    return new Fleet(store, at(url), stores, sender, environment);
  }

  get results(): ResultBackend {
    return this.stores.results as ResultBackend;
  }

  get schedules(): ScheduleStore {
    return this.stores.schedules as ScheduleStore;
  }

  /** Starts a program; resolves when it says that it is ready. */
  async launch(program: Program, env: Record<string, string> = {}): Promise<ChildProcess> {
    const { url, resultsUrl = url, schedulesUrl = url } = this.store;
    const urls = { QUEUE_URL: url, RESULTS_URL: resultsUrl, SCHEDULES_URL: schedulesUrl };
    const own = { NODE_OPTIONS: '', ...urls, LEDGER: this.ledgerFile };
    const child = fork(new URL(`./programs/${program}.mjs`, import.meta.url), {
      execArgv: [],
      env: { ...process.env, ...own, ...this.environment, ...env },
    });
    this.children.add(child);
    child.once('exit', (code, signal) => {
      this.children.delete(child);
      if (!this.asked.has(child) && !this.killed.has(child.pid as number)) {
        this.crashed.push(`${program} ${child.pid} ended with ${signal ?? code}`);
      }
    });
    const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as unknown[];
    if (message !== 'ready') throw new Error(`${program} did not start (${String(message)})`);
    return child;
  }

  /** kill -9, and wait until it is gone. */
  async kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    this.killed.add(child.pid as number);
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /**
   * SIGSTOP, but not in the middle of a write: the frozen process would keep the lock of an SQLite file, and nobody could
   * take over.
   */
  async freeze(child: ChildProcess): Promise<void> {
    for (;;) {
      child.kill('SIGSTOP');
      if (!this.isLocked()) return;
      child.kill('SIGCONT');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** SIGTERM, and the exit code. */
  async terminate(child: ChildProcess): Promise<number | null> {
    this.asked.add(child);
    child.kill('SIGTERM');
    await once(child, 'exit');
    return child.exitCode;
  }

  ledger(): Entry[] {
    return readFileSync(this.ledgerFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Entry);
  }

  private isLocked(): boolean {
    if (this.store.kind !== 'sqlite') return false;
    const handle = new (typeorm.sqliteDriver())(this.store.url.slice('sqlite:'.length), { timeout: 100 });
    try {
      handle.exec('begin immediate');
      handle.exec('rollback');
      return false;
    } catch {
      return true;
    } finally {
      handle.close();
    }
  }

  async close(): Promise<void> {
    for (const child of this.children) await this.kill(child);
    await Promise.all(this.stores.drivers.map((driver) => driver.close()));
    await this.store.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function driverFor(url: string): Driver {
  if (url.startsWith('amqp')) return amqp.createDriver(url);
  return url.startsWith('redis') ? redis.createDriver(url) : typeorm.createDriver(url);
}
