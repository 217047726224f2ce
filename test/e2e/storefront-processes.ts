import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import { sqliteDriver } from '@taskqueue/typeorm';
import { DataSource } from 'typeorm';
import type { TestDatabase } from '../support/databases.js';
import { createDatabase } from '../support/databases.js';

const ROOT = resolve(import.meta.dirname, '../..');
export const ADMIN_KEY = 'key-of-the-tests';

/** An answer of the API. */
export interface Answer {
  readonly status: number;
  readonly body: any;
}

/** Builds the packages and the three applications, as `npm start` does. */
export function buildStorefront(): void {
  const run = (script: string, args: string[]): void => {
    execFileSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: 'pipe' });
  };
  run('node_modules/typescript/bin/tsc', ['-b']);
  run('node_modules/@nestjs/cli/bin/nest.js', ['build', 'api', 'worker', 'beat']);
}

/** API, worker and beat as three processes on a database of their own. */
export class Storefront {
  private constructor(
    readonly database: TestDatabase,
    readonly dataDir: string,
    readonly url: string,
    readonly processes: Readonly<Record<'api' | 'worker' | 'beat', RunningProcess>>,
  ) {}

  /** Starts all three at once on an empty database, with further variables; resolves when the API answers. */
  static async start(kind: 'sqlite' | 'postgres', variables: NodeJS.ProcessEnv = {}): Promise<Storefront> {
    const database = await createDatabase(kind);
    const dataDir = mkdtempSync(join(tmpdir(), 'storefront-'));
    const port = await freePort();
    const env = {
      ...storefrontEnvironment(dataDir, port),
      ...(kind === 'postgres' ? { DATABASE_URL: database.url } : {}),
      ...variables,
    };
    const launch = (name: string, args: string[] = []): RunningProcess =>
      new RunningProcess(name, [`dist/${name}/sample-app/src/${name}/main.js`, ...args], env);
    const processes = {
      api: launch('api'),
      worker: launch('worker', ['-Q', 'default,mail,images,reports', '-c', '8']),
      beat: launch('beat'),
    };
    const storefront = new Storefront(database, dataDir, `http://127.0.0.1:${port}`, processes);
    await storefront.answers();
    return storefront;
  }

  async answers(): Promise<void> {
    await eventually(async () => {
      for (const process of Object.values(this.processes)) process.mustRun();
      await fetch(`${this.url}/tasks`);
    }, 30_000);
  }

  /** Ends what still runs, hard, and removes all data. */
  async remove(): Promise<void> {
    await Promise.all(Object.values(this.processes).map((process) => process.kill()));
    await this.database.remove();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return answerOf(response);
  }

  /** Looks into the storefront's database. */
  async query(sql: string): Promise<any[]> {
    const dataSource = new DataSource(
      this.database.kind === 'postgres'
        ? { type: 'postgres', url: this.database.url }
        : { type: 'better-sqlite3', driver: sqliteDriver(), database: join(this.dataDir, 'storefront.sqlite') },
    );
    await dataSource.initialize();
    try {
      return await dataSource.query(sql);
    } finally {
      await dataSource.destroy();
    }
  }

  admin(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.call(method, `/admin/${path}`, body, { 'x-api-key': ADMIN_KEY });
  }

  async upload(field: string, content: Buffer): Promise<Answer> {
    const form = new FormData();
    form.append(field, new Blob([new Uint8Array(content)]), 'image.png');
    return answerOf(await fetch(`${this.url}/images`, { method: 'POST', body: form }));
  }

  /** The task as GET /tasks/:id shows it once it is in one of these states. */
  task(taskId: string, states: readonly string[] = ['SUCCESS'], timeoutMs = 10_000): Promise<any> {
    return eventually(async () => {
      const { status, body } = await this.call('GET', `/tasks/${taskId}`);
      if (status === 200 && states.includes(body.state)) return body;
      throw new Error(`Task ${taskId} is ${body.state ?? status}, not ${states.join(' or ')}: ${JSON.stringify(body)}`);
    }, timeoutMs);
  }
}

/** One child process and what it printed. */
export class RunningProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  output = '';

  constructor(
    readonly name: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ) {
    this.child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (data) => (this.output += data));
    this.ended = once(this.child, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  mustRun(): void {
    if (this.child.exitCode === null && this.child.signalCode === null) return;
    throw new Error(`${this.name} ended with code ${this.child.exitCode}:\n${this.output}`);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

export function storefrontEnvironment(dataDir: string, port: number): NodeJS.ProcessEnv {
  const {
    DATABASE_URL: _database,
    BROKER_URL: _broker,
    RESULT_BACKEND_URL: _results,
    SMTP_URL: _smtp,
    NODE_OPTIONS: _options,
    ...inherited
  } = process.env;
  return { ...inherited, DATA_DIR: dataDir, PORT: String(port), ADMIN_API_KEY: ADMIN_KEY, NO_COLOR: '1' };
}

/** Processes whose environment says that they belong to this folder of data. */
export function processesOf(dataDir: string): string[] {
  const listed = execFileSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 64 * 1_048_576 });
  return listed.split('\n').filter((line) => line.includes(`DATA_DIR=${dataDir}`));
}

export function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) done(address.port);
        else failed(new Error('There is no free port.'));
      });
    });
  });
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}
