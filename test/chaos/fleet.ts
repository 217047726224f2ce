import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Driver } from '@taskqueue/core';
import { composeStores, silentLogger, systemClock, TaskRegistry, TaskSender, validateSettings } from '@taskqueue/core';
import { createDriver } from '@taskqueue/typeorm';
import type { TestDatabase } from '../support/databases.js';
import { createDatabase } from '../support/databases.js';

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
  private readonly children = new Set<ChildProcess>();
  private readonly folder = mkdtempSync(join(tmpdir(), 'taskqueue-chaos-'));
  private readonly ledgerFile = join(this.folder, 'ledger.jsonl');

  private constructor(
    private readonly database: TestDatabase,
    readonly driver: Driver,
    readonly sender: TaskSender,
  ) {
    writeFileSync(this.ledgerFile, '');
  }

  static async open(kind: 'sqlite' | 'postgres'): Promise<Fleet> {
    const database = await createDatabase(kind);
    const driver = createDriver(database.url);
    await driver.connect({ logger: silentLogger });
    const stores = composeStores({ broker: driver });
    const sender = new TaskSender({
      stores,
      registry: new TaskRegistry(),
      settings: validateSettings({}),
      clock: systemClock,
    });
    return new Fleet(database, driver, sender);
  }

  /** Starts a program; resolves when it says that it is ready. */
  async launch(program: Program, env: Record<string, string> = {}): Promise<ChildProcess> {
    const child = fork(new URL(`./programs/${program}.mjs`, import.meta.url), {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '', QUEUE_URL: this.database.url, LEDGER: this.ledgerFile, ...env },
    });
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
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

  /** SIGTERM, and the exit code. */
  async terminate(child: ChildProcess): Promise<number | null> {
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

  async close(): Promise<void> {
    for (const child of this.children) await this.kill(child);
    await this.driver.close();
    await this.database.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
